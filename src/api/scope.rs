//! What an API key may do.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::store::records::ApiKey;

/// One thing that a key may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
pub enum Scope {
    /// Read writes, their timelines and events.
    #[serde(rename = "orders:read")]
    OrdersRead,
    /// Order, cancel, retry and decide writes, and serve them on site.
    #[serde(rename = "orders:write")]
    OrdersWrite,
    /// Read cards, devices, timelines and events.
    #[serde(rename = "cards:read")]
    CardsRead,
    /// Import cards, supply bindings, poll cards and decide about them.
    #[serde(rename = "cards:write")]
    CardsWrite,
    /// Everything, and what only it opens: keys, endpoints, links and stray messages. Links and stray messages are the
    /// platform's and no owner's, so this scope belongs with whoever runs it.
    #[serde(rename = "admin")]
    Admin,
}

impl Scope {
    /// Every scope with its name at the edges.
    pub const NAMES: [(Self, &'static str); 5] = [
        (Self::OrdersRead, "orders:read"),
        (Self::OrdersWrite, "orders:write"),
        (Self::CardsRead, "cards:read"),
        (Self::CardsWrite, "cards:write"),
        (Self::Admin, "admin"),
    ];

    /// The scope's name at the edges.
    #[must_use]
    pub fn name(self) -> &'static str {
        Self::NAMES.iter().find(|(scope, _)| *scope == self).map_or("", |(_, name)| name)
    }

    /// All but [`Self::Admin`]: what a key may do that names no scopes, as keys were before they had any.
    #[must_use]
    pub fn all_but_admin() -> BTreeSet<Self> {
        Self::NAMES.into_iter().map(|(scope, _)| scope).filter(|scope| *scope != Self::Admin).collect()
    }

    /// What a key may do.
    #[must_use]
    pub fn of_key(key: &ApiKey) -> BTreeSet<Self> {
        Self::of_stored(&key.scopes)
    }

    /// A name that a later release stored opens nothing here.
    fn of_stored(names: &[String]) -> BTreeSet<Self> {
        if names.is_empty() {
            return Self::all_but_admin();
        }
        names.iter().filter_map(|name| name.parse().ok()).collect()
    }
}

/// A text that is no scope's name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("scope: expected one of orders:read, orders:write, cards:read, cards:write, admin")]
pub struct NoScope;

impl std::str::FromStr for Scope {
    type Err = NoScope;

    fn from_str(text: &str) -> Result<Self, NoScope> {
        Self::NAMES.iter().find(|(_, name)| *name == text).map(|(scope, _)| *scope).ok_or(NoScope)
    }
}

impl std::fmt::Display for Scope {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_the_same_everywhere() {
        for (scope, name) in Scope::NAMES {
            assert_eq!(name.parse(), Ok(scope));
            assert_eq!(serde_json::to_value(scope).unwrap(), name);
        }
        assert_eq!("orders".parse::<Scope>(), Err(NoScope));
    }

    #[test]
    fn keys_of_before_have_all_but_admin() {
        assert_eq!(Scope::of_stored(&[]).len(), 4);
        assert!(!Scope::of_stored(&[]).contains(&Scope::Admin));
        let stored = ["cards:read".to_owned(), "moon:read".to_owned()];
        assert_eq!(Scope::of_stored(&stored), BTreeSet::from([Scope::CardsRead]));
        assert!(Scope::of_stored(&["moon:read".to_owned()]).is_empty());
    }
}
