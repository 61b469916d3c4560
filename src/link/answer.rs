//! Short messages from the SMSC and how they are answered.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::smpp::{CommandStatus, Sm, Unanswered};

/// A deliver_sm or data_sm that waits for its answer.
#[derive(Debug)]
pub struct Delivery {
    /// The name of the link it came over.
    pub link: Arc<str>,
    /// The message: from a card, from anybody, or a receipt.
    pub sm: Sm,
    /// Answers it; after the message's effect is durable.
    pub answer: Answer,
}

/// The right to answer one [`Delivery`], in any order. Dropped, it answers ESME_RX_T_APPN: deliver again.
#[derive(Debug)]
pub struct Answer {
    answers: mpsc::Sender<Answered>,
    unanswered: Option<Unanswered>,
    received: Instant,
}

/// An answer on its way to the session.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) sm: Unanswered,
    pub(super) status: CommandStatus,
    pub(super) received: Instant,
}

impl Answer {
    /// `answers` has room for every message the session holds unanswered.
    pub(super) const fn new(answers: mpsc::Sender<Answered>, sm: Unanswered, received: Instant) -> Self {
        Self { answers, unanswered: Some(sm), received }
    }

    /// Answers with `status`. Where the connection has gone meanwhile nothing is sent: the SMSC delivers the
    /// message again.
    pub fn send(mut self, status: CommandStatus) {
        self.hand_over(status);
    }

    /// Gives the message back to whoever answers it without the queue.
    pub(super) fn take(mut self) -> Option<Unanswered> {
        self.unanswered.take()
    }

    fn hand_over(&mut self, status: CommandStatus) {
        if let Some(sm) = self.unanswered.take() {
            let _ = self.answers.try_send(Answered { sm, status, received: self.received });
        }
    }
}

impl Drop for Answer {
    fn drop(&mut self) {
        self.hand_over(CommandStatus::ESME_RX_T_APPN);
    }
}
