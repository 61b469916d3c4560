//! What is to be sent over one bind: put by whoever has a place in its window, taken by its task.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use super::handle::Command;

/// The way into one bind. The task takes all that is there by one exchange of lists, and is woken once for all of
/// them.
#[derive(Debug)]
pub(super) struct Queue {
    /// More than this do not fit.
    max: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    commands: Vec<Command>,
    /// Who takes them, while it waits.
    taker: Option<Waker>,
    closed: bool,
}

impl Queue {
    /// A queue of at most `max` commands.
    pub(super) fn new(max: usize) -> Self {
        Self { max, inner: Mutex::default() }
    }

    /// Appends `command`, which comes back where the queue is closed or full.
    #[expect(clippy::result_large_err, reason = "it comes back where there is no connection any more")]
    pub(super) fn put(&self, command: Command) -> Result<(), Command> {
        let mut inner = self.inner();
        if inner.closed || inner.commands.len() >= self.max {
            return Err(command);
        }
        inner.commands.push(command);
        let taker = inner.taker.take();
        drop(inner);
        if let Some(taker) = taker {
            taker.wake();
        }
        Ok(())
    }

    /// Exchanges `taken`, which is empty, for all commands; pending while there are none.
    pub(super) fn poll_take(&self, cx: &Context<'_>, taken: &mut Vec<Command>) -> Poll<()> {
        let mut inner = self.inner();
        if inner.commands.is_empty() {
            match &mut inner.taker {
                Some(taker) => taker.clone_from(cx.waker()),
                none => *none = Some(cx.waker().clone()),
            }
            return Poll::Pending;
        }
        std::mem::swap(&mut inner.commands, taken);
        Poll::Ready(())
    }

    /// Takes nothing any more; what is left comes back.
    pub(super) fn close(&self) -> Vec<Command> {
        let mut inner = self.inner();
        inner.closed = true;
        std::mem::take(&mut inner.commands)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
