//! What the owners are told of the links: `link.down`, `link.refused`, and `link.up` after either.
//!
//! Each is told once, to every owner whose cards a route may serve over the link, whatever is tried meanwhile. What was
//! told last is kept with the events, so that a restart neither repeats it nor leaves it standing.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::sync::watch;

use crate::card::Owner;
use crate::link::{Link, LinkState};
use crate::store::records::{FactRecord, LinkRecord, decode_api_key, decode_link, encode_link};
use crate::store::{Commit, CommitError, Key, KeyText, StoreError, Unguarded, keys, read_space};

use super::job::CardError;
use super::read::unreadable;
use super::{Gateway, RouteConfig};

/// A link that is back sooner was never told to be down: SMSCs close connections now and then.
const DOWN_AFTER: Duration = Duration::from_secs(30);

/// The wait after a store that does not answer.
const STORE_AGAIN: Duration = Duration::from_secs(5);

const UP: &str = "link.up";
const DOWN: &str = "link.down";
const REFUSED: &str = "link.refused";

impl Gateway {
    /// Tells what becomes of a link, until it is closed.
    pub(super) async fn run_link_events(self, link: Link) {
        tokio::select! {
            biased;
            () = self.0.closing.cancelled() => {}
            () = self.tell_of(&link) => {}
        }
    }

    async fn tell_of(&self, link: &Link) {
        let Ok(name) = KeyText::new(link.name()) else { return };
        let key = keys::link(&name);
        let mut state = link.state();
        while let Some((seen, kind, detail)) = standing(&mut state).await {
            match self.tell(link.name(), &key, kind, &detail).await {
                Ok(()) => drop(state.wait_for(|now| *now != seen).await),
                Err(error) => {
                    tracing::warn!(link = %link.name(), %error, "what became of the link could not be told");
                    tokio::time::sleep(STORE_AGAIN).await;
                }
            }
        }
    }

    /// Tells it, unless it was told last.
    async fn tell(&self, link: &str, key: &Key, kind: &str, detail: &str) -> Result<(), StoreError> {
        let stored = self.store().get_one(key.clone()).await?.value;
        let record = |value| decode_link(Unguarded::decode(value)?).map_err(CardError::from);
        let told = stored.as_deref().map(record).transpose().map_err(unreadable)?;
        let news = match &told {
            Some(told) => (told.kind.as_str(), told.detail.as_str()) != (kind, detail),
            None => kind != UP,
        };
        if !news {
            return Ok(());
        }
        let seq = told.map_or(1, |told| told.seq + 1);
        let mut telling = self.telling();
        let mut commit = Commit::new();
        for owner in self.owners_on(link).await? {
            let fact = FactRecord {
                at: self.now(),
                owner,
                kind: kind.to_owned(),
                card: None,
                seq,
                write: None,
                imei: None,
                detail: detail.to_owned(),
                link: Some(link.to_owned()),
            };
            self.put_fact(&mut commit, &fact, &mut telling);
        }
        let told = LinkRecord { kind: kind.to_owned(), detail: detail.to_owned(), seq };
        commit.put(key.clone(), Unguarded::encode(&encode_link(&told)));
        match self.store().commit(commit).await {
            Ok(_) => self.0.metrics.count_fact(kind),
            // Nothing is asserted.
            Err(CommitError::Conflict(_)) => {}
            Err(CommitError::Store(error)) => return Err(error),
        }
        Ok(())
    }

    /// Everybody known who may have cards that are served over a link: owners of routes, of endpoints and of API keys.
    async fn owners_on(&self, link: &str) -> Result<BTreeSet<Owner>, StoreError> {
        let routes = &self.0.config.routes;
        let of_keys = read_space(&**self.store(), keys::Space::ApiKey, decode_api_key).await;
        let of_keys =
            of_keys.map_err(unreadable)?.into_iter().filter(|key| !key.revoked).map(|key| key.owner);
        let of_routes = routes.iter().filter_map(|route| route.owner.as_deref()?.parse().ok());
        let known = of_keys.chain(of_routes).chain(self.0.outboxes.owners());
        Ok(known.filter(|owner| serves(routes, link, owner)).collect())
    }
}

/// What there is to tell of a link, once that is settled, and the state that it follows from; `None` once it is closed.
async fn standing(state: &mut watch::Receiver<LinkState>) -> Option<(LinkState, &'static str, String)> {
    loop {
        let seen = *state.borrow_and_update();
        match seen {
            LinkState::Bound => return Some((seen, UP, String::new())),
            LinkState::Refused(status) => return Some((seen, REFUSED, status.to_string())),
            LinkState::Closed => return None,
            // A state is set anew with each attempt: only another one ends the wait.
            LinkState::Connecting => {
                let other = state.wait_for(|now| *now != LinkState::Connecting);
                match tokio::time::timeout(DOWN_AFTER, other).await {
                    Ok(Ok(_)) => {}
                    Ok(Err(_)) => return None,
                    Err(_) => {
                        let detail = format!("not bound for {} s", DOWN_AFTER.as_secs());
                        return Some((seen, DOWN, detail));
                    }
                }
            }
        }
    }
}

/// Whether some number of this owner's cards may be served over the link. An owner's own routes come before those of all.
fn serves(routes: &[RouteConfig], link: &str, owner: &Owner) -> bool {
    let own = |route: &&RouteConfig| route.owner.as_deref() == Some(owner.as_str());
    let hidden = |prefix: &str| routes.iter().filter(own).any(|own| prefix.starts_with(&own.prefix));
    let over = |route: &&RouteConfig| route.links.iter().chain(&route.standby).any(|name| name == link);
    routes.iter().filter(over).any(|route| match &route.owner {
        Some(name) => name == owner.as_str(),
        None => !hidden(&route.prefix),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(owner: Option<&str>, prefix: &str, link: &str) -> RouteConfig {
        let (name, owner) = (format!("{owner:?} {prefix}"), owner.map(str::to_owned));
        let all = RouteConfig::all_over(vec![link.to_owned()]);
        RouteConfig { name, owner, prefix: prefix.to_owned(), standby: vec!["spare".to_owned()], ..all }
    }

    #[test]
    fn an_owner_is_told_of_the_links_that_may_serve_its_cards() {
        let routes = [
            route(None, "", "north"),
            route(None, "4915", "south"),
            route(Some("acme"), "49", "east"),
            route(Some("umbrella"), "", "west"),
        ];
        let links = |owner: &str| {
            let owner: Owner = owner.parse().unwrap();
            ["north", "south", "east", "west"].map(|link| serves(&routes, link, &owner))
        };
        assert_eq!(links("other"), [true, true, false, false]);
        assert_eq!(links("acme"), [true, false, true, false]);
        assert_eq!(links("umbrella"), [false, false, false, true]);
        assert!(serves(&routes, "spare", &"other".parse().unwrap()), "a link in reserve may have to serve");
    }

    #[tokio::test(start_paused = true)]
    async fn a_link_is_down_when_no_attempt_helps_for_a_while() {
        let (sender, mut state) = watch::channel(LinkState::Bound);
        let told = |standing: Option<(LinkState, &'static str, String)>| standing.map(|(_, kind, _)| kind);
        assert_eq!(told(standing(&mut state).await), Some(UP));
        let attempts = async {
            for _ in 0..100 {
                tokio::time::sleep(Duration::from_secs(1)).await;
                sender.send_replace(LinkState::Connecting);
            }
        };
        sender.send_replace(LinkState::Connecting);
        let began = tokio::time::Instant::now();
        let down = tokio::select! { () = attempts => None, standing = standing(&mut state) => standing };
        assert_eq!(told(down), Some(DOWN));
        assert_eq!(began.elapsed().as_secs(), 30);
        let back = async {
            tokio::time::sleep(Duration::from_secs(29)).await;
            sender.send_replace(LinkState::Bound);
        };
        let ((), up) = tokio::join!(back, standing(&mut state));
        assert_eq!(told(up), Some(UP), "back in time");
        sender.send_replace(LinkState::Closed);
        assert_eq!(standing(&mut state).await, None);
    }
}
