//! The links of a route: which of them takes the next card.

use std::future::{Future, pending, poll_fn};
use std::pin::Pin;
use std::task::Poll;

use crate::link::{Link, Slot};

/// The links that serve one route.
pub(super) struct Serving {
    /// They share the load: each takes what it has room for.
    links: Vec<Link>,
    /// They serve only while none of `links` can send.
    standby: Vec<Link>,
    /// Which link is asked first.
    turn: usize,
}

impl Serving {
    pub(super) const fn new(links: Vec<Link>, standby: Vec<Link>) -> Self {
        Self { links, standby, turn: 0 }
    }

    /// Waits for a free slot of a link that may send now; where several have one, they take turns. Dropping the future
    /// gives up the places in their lines and nothing else.
    pub(super) async fn slot(&mut self) -> (Link, Slot) {
        self.turn = (self.turn + 1) % self.links.len().max(1);
        let (later, sooner) = self.links.split_at(self.turn.min(self.links.len()));
        loop {
            let mut sending: Vec<_> = self.links.iter().map(Link::sending).collect();
            let any = sending.iter().any(|sends| *sends.borrow());
            let standby = if any { &[] } else { self.standby.as_slice() };
            let links = sooner.iter().chain(later).chain(standby);
            tokio::select! {
                biased;
                // Another set of links may send now.
                _ = first(sending.iter_mut().map(|sends| sends.changed())), if !self.standby.is_empty() => {}
                found = first(links.map(slot_of)) => return found,
            }
        }
    }
}

/// A closed link has none any more.
async fn slot_of(link: &Link) -> (Link, Slot) {
    match link.slot().await {
        Ok(slot) => (link.clone(), slot),
        Err(_) => pending().await,
    }
}

/// What the first of `futures` that is ready says; where several are, the one in front.
async fn first<F: Future>(futures: impl Iterator<Item = F>) -> F::Output {
    let mut futures: Vec<Pin<Box<F>>> = futures.map(Box::pin).collect();
    poll_fn(|context| {
        let mut polls = futures.iter_mut().map(|future| future.as_mut().poll(context));
        polls.find(Poll::is_ready).unwrap_or(Poll::Pending)
    })
    .await
}
