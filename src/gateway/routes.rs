//! Which links serve a card: its owner and the longest prefix of its number decide.

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::card::Owner;
use crate::identity::Msisdn;
use crate::link::Link;
use crate::store::KeyText;

use super::serving::Serving;
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
    /// The links that serve it and share its load; at least one.
    pub links: Vec<String>,
    /// The links that serve it only while none of `links` can send.
    #[serde(default)]
    pub standby: Vec<String>,
}

impl RouteConfig {
    /// A route called `all` for every card, over these links.
    #[must_use]
    pub fn all_over(links: Vec<String>) -> Self {
        Self { name: "all".to_owned(), owner: None, prefix: String::new(), links, standby: Vec::new() }
    }

    /// Checks its links against the names of those there are.
    ///
    /// # Errors
    /// The key that cannot be used and what was expected.
    pub fn check<'a>(
        &self,
        names: impl Iterator<Item = &'a str> + Clone,
    ) -> Result<(), (&'static str, String)> {
        const LINKS: &str = "route.links";
        let route = &self.name;
        if self.links.is_empty() {
            return Err((LINKS, format!("at least one link, route {route:?} has none")));
        }
        let mut seen = BTreeSet::new();
        let keys = [(LINKS, &self.links), ("route.standby", &self.standby)];
        for (key, link) in keys.iter().flat_map(|(key, links)| links.iter().map(move |link| (*key, link))) {
            if !names.clone().any(|name| name == link) {
                return Err((key, format!("names of [[link]] tables, route {route:?} has {link:?}")));
            }
            if !seen.insert(link) {
                return Err((key, format!("different links, route {route:?} has {link:?} twice")));
            }
        }
        Ok(())
    }
}

/// Routes, most specific first.
#[derive(Debug)]
pub(super) struct Routes(Vec<Route>);

#[derive(Debug)]
struct Route {
    name: KeyText,
    owner: Option<String>,
    prefix: String,
    links: Vec<String>,
    standby: Vec<String>,
}

impl Routes {
    pub(super) fn new(config: &GatewayConfig) -> Result<Self, StartError> {
        let mut routes = Vec::new();
        for route in &config.routes {
            route
                .check(config.links.iter().map(|link| link.name.as_str()))
                .map_err(|(key, expected)| StartError::Config { key: key.to_owned(), expected })?;
            routes.push(Route {
                name: key_text(&route.name, "route")?,
                owner: route.owner.clone(),
                prefix: route.prefix.clone(),
                links: route.links.clone(),
                standby: route.standby.clone(),
            });
        }
        routes.sort_by_key(|route| (route.owner.is_none(), usize::MAX - route.prefix.len()));
        Ok(Self(routes))
    }

    /// The route of a number of this owner's card.
    pub(super) fn of(&self, owner: &Owner, number: &Msisdn) -> Option<&KeyText> {
        self.route(owner, number).map(|route| &route.name)
    }

    fn route(&self, owner: &Owner, number: &Msisdn) -> Option<&Route> {
        let digits = number.to_string();
        let serves = |route: &&Route| {
            route.owner.as_deref().is_none_or(|name| name == owner.as_str())
                && digits.starts_with(&route.prefix)
        };
        self.0.iter().find(serves)
    }

    /// The first link that serves a number of this owner's card; where none does, any.
    pub(super) fn link_of(&self, owner: &Owner, number: &Msisdn) -> Option<&str> {
        self.route(owner, number).or(self.0.first())?.links.first().map(String::as_str)
    }

    /// The links that serve a number of this owner's card, those in reserve last.
    pub(super) fn links_of(&self, owner: &Owner, number: &Msisdn) -> impl Iterator<Item = &str> {
        let links = self.route(owner, number).map(|route| route.links.iter().chain(&route.standby));
        links.into_iter().flatten().map(String::as_str)
    }

    pub(super) fn names(&self) -> impl Iterator<Item = KeyText> {
        self.0.iter().map(|route| route.name.clone())
    }

    /// The routes with those that serve them.
    pub(super) fn serving(&self, links: &BTreeMap<String, Link>) -> Vec<(KeyText, Serving)> {
        let named = |names: &[String]| names.iter().filter_map(|name| links.get(name).cloned()).collect();
        let serving = |route: &Route| Serving::new(named(&route.links), named(&route.standby));
        self.0.iter().map(|route| (route.name.clone(), serving(route))).collect()
    }
}
