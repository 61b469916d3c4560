//! cancel_sm (SMPP 3.4 §4.9): the SMSC is asked to forget what it took of a write that is to be cancelled.
//!
//! It spares the card a packet and the fence a verdict, and replaces neither: whatever the SMSC answers, the write stays
//! where it is. So it is asked for once, nobody waits for the answer, and what a crash leaves open is not asked for again.

use std::sync::Arc;
use std::time::Duration;

use crate::card::{Cancellation, Card, Owner};
use crate::link::{Link, RequestOutcome};
use crate::smpp::{Body, CommandStatus, MessageId};

use super::Gateway;

/// cancel_sm under way at once; beyond that none is sent.
pub(super) const AT_ONCE: usize = 256;

/// How long one waits for room in a link's window.
const ROOM_WAIT: Duration = Duration::from_secs(30);

/// What became of a cancel_sm.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Cancelled {
    /// The SMSC has forgotten the message.
    Done,
    /// It has not: delivered already, unknown to it, or cancel_sm is not served.
    Refused(CommandStatus),
    /// It did not answer.
    Unknown,
    /// No link could be asked.
    NotSent,
}

impl Cancelled {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Refused(_) => "refused",
            Self::Unknown => "unknown",
            Self::NotSent => "not_sent",
        }
    }
}

impl Gateway {
    /// Has submissions of a card cancelled, beside all else.
    pub(super) fn cancel_submissions(&self, card: &Card, cancellations: &[Cancellation]) {
        for cancellation in cancellations.iter().cloned() {
            let room = Arc::clone(&self.0.cancels).try_acquire_owned();
            let (gateway, card, owner) = (self.clone(), card.id, card.owner.clone());
            self.spawn(async move {
                let outcome = match &room {
                    Ok(_) => gateway.cancel_submission(&owner, &cancellation).await,
                    Err(_) => Cancelled::NotSent,
                };
                gateway.0.metrics.count_cancel(&outcome);
                let Cancellation { to, message_id } = cancellation;
                tracing::info!(%card, %to, message_id, ?outcome, "cancel_sm");
            });
        }
    }

    /// Asks the links of the number's route in turn: it is not kept which of them took the message.
    async fn cancel_submission(&self, owner: &Owner, cancellation: &Cancellation) -> Cancelled {
        let Cancellation { to, message_id } = cancellation;
        let Ok(message_id) = message_id.parse::<MessageId>() else { return Cancelled::NotSent };
        let mut outcome = Cancelled::NotSent;
        let links = self.0.routes.links_of(owner, to).filter_map(|name| self.0.links.get(name));
        for link in links.filter(|link| *link.sending().borrow()) {
            outcome = match self.cancel_over(link, to.as_str(), message_id.clone()).await {
                Cancelled::NotSent => outcome,
                asked => asked,
            };
            if outcome == Cancelled::Done {
                break;
            }
        }
        outcome
    }

    async fn cancel_over(&self, link: &Link, to: &str, message_id: MessageId) -> Cancelled {
        let Ok(cancel) = link.dialect().cancel_sm(to, message_id) else { return Cancelled::NotSent };
        let room = tokio::time::timeout(ROOM_WAIT, link.slot());
        let Some(Ok(Ok(slot))) = self.0.closing.run_until_cancelled(room).await else {
            return Cancelled::NotSent;
        };
        match slot.request(Body::CancelSm(cancel)).await {
            RequestOutcome::Answered(pdu) if pdu.status.is_ok() => Cancelled::Done,
            RequestOutcome::Answered(pdu) => Cancelled::Refused(pdu.status),
            RequestOutcome::Unknown(_) => Cancelled::Unknown,
            RequestOutcome::NotSent => Cancelled::NotSent,
        }
    }
}
