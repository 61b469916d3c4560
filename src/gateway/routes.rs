//! Which link serves a card: its owner and the longest prefix of its number decide.

use serde::Deserialize;

use crate::card::Owner;
use crate::identity::Msisdn;
use crate::store::KeyText;

use super::{GatewayConfig, StartError, key_text};

/// A route (`[[route]]`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RouteConfig {
    /// Its name: the name of its lane.
    pub name: String,
    /// Whose cards it serves; all where absent.
    #[serde(default)]
    pub owner: Option<String>,
    /// Digits that the card's number starts with; all numbers where empty.
    #[serde(default)]
    pub prefix: String,
    /// The link that serves it.
    pub link: String,
}

/// Routes, most specific first.
#[derive(Debug)]
pub(super) struct Routes(Vec<Route>);

#[derive(Debug)]
struct Route {
    name: KeyText,
    owner: Option<String>,
    prefix: String,
    link: String,
}

impl Routes {
    pub(super) fn new(config: &GatewayConfig) -> Result<Self, StartError> {
        let mut routes = Vec::new();
        for route in &config.routes {
            if !config.links.iter().any(|link| link.name == route.link) {
                return Err(StartError::Config {
                    key: format!("route {}: link {:?}", route.name, route.link),
                    expected: "the name of a configured link".to_owned(),
                });
            }
            routes.push(Route {
                name: key_text(&route.name, "route")?,
                owner: route.owner.clone(),
                prefix: route.prefix.clone(),
                link: route.link.clone(),
            });
        }
        routes.sort_by_key(|route| (route.owner.is_none(), usize::MAX - route.prefix.len()));
        Ok(Self(routes))
    }

    /// The route of a number of this owner's card.
    pub(super) fn of(&self, owner: &Owner, number: &Msisdn) -> Option<&KeyText> {
        let digits = number.to_string();
        let serves = |route: &&Route| {
            route.owner.as_deref().is_none_or(|name| name == owner.as_str())
                && digits.starts_with(&route.prefix)
        };
        self.0.iter().find(serves).map(|route| &route.name)
    }

    /// The link that serves a number of this owner's card; where none does, any.
    pub(super) fn link_of(&self, owner: &Owner, number: &Msisdn) -> Option<&str> {
        let name = self.of(owner, number);
        let serving = self.0.iter().find(|route| Some(&route.name) == name);
        serving.or(self.0.first()).map(|route| route.link.as_str())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = KeyText> {
        self.0.iter().map(|route| route.name.clone())
    }

    pub(super) fn with_links(&self) -> Vec<(KeyText, String)> {
        self.0.iter().map(|route| (route.name.clone(), route.link.clone())).collect()
    }
}
