//! The task of one bind: connect, serve, wait, again.

use std::convert::Infallible;
use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, sleep, timeout};

use super::backoff::Backoff;
use super::connection::{Connection, Over};
use super::handle::{Command, Shared};
use super::metrics::count;
use super::queue::Queue;
use super::{Connector, Delivery, LinkState};
use crate::smpp::BindMode;
use crate::world::Rng;

/// Owns one bind of a link. There is one connection at a time: a new one is opened after the old one is gone.
pub(super) struct BindTask {
    pub(super) shared: Arc<Shared>,
    pub(super) mode: BindMode,
    /// Which bind of the link this is.
    pub(super) index: usize,
    pub(super) inbound: mpsc::Sender<Delivery>,
    pub(super) connector: Arc<dyn Connector>,
    pub(super) rng: Arc<dyn Rng>,
}

impl BindTask {
    /// Runs until the link is closed.
    pub(super) async fn run(mut self) {
        let shared = Arc::clone(&self.shared);
        let reconnect_max = Duration::from_millis(shared.config.reconnect_max_ms);
        let mut backoff =
            Backoff::new(Duration::from_millis(shared.config.reconnect_first_ms), reconnect_max);
        while !shared.shutdown.is_cancelled() {
            self.set_state(LinkState::Connecting);
            match self.connect_and_serve().await {
                Over::Closed => break,
                Over::Refused(status) => {
                    tracing::error!(link = %shared.name, bind = ?self.mode, %status, "the SMSC refuses our credentials; stopped");
                    // Listening begins before anybody can see that there is something to resume.
                    let resumed = shared.resume.notified();
                    self.set_state(LinkState::Refused(status));
                    self.until(resumed).await;
                    backoff.reset();
                }
                Over::Lost { bound_for } => {
                    // One that was up for a moment only is a failure like any other.
                    if bound_for.is_some_and(|bound_for| bound_for >= reconnect_max) {
                        backoff.reset();
                    }
                    let wait = backoff.next(&*self.rng);
                    tracing::info!(link = %shared.name, bind = ?self.mode, wait_ms = wait.as_millis(), "connecting again");
                    self.until(sleep(wait)).await;
                }
            }
        }
    }

    /// One connection; the state is not bound any more when it is over.
    async fn connect_and_serve(&mut self) -> Over {
        let shared = Arc::clone(&self.shared);
        let connector = Arc::clone(&self.connector);
        let connect = timeout(shared.config.response_timeout(), connector.connect(&shared.config.address));
        let transport = match self.until(connect).await {
            None => return Over::Closed,
            Some(Ok(Ok(transport))) => transport,
            Some(Ok(Err(error))) => {
                tracing::warn!(link = %shared.name, bind = ?self.mode, %error, "cannot connect");
                return Over::Lost { bound_for: None };
            }
            Some(Err(_)) => {
                tracing::warn!(link = %shared.name, bind = ?self.mode, "cannot connect: no answer in time");
                return Over::Lost { bound_for: None };
            }
        };
        count(&shared.metrics.connected);
        Connection::new(self, Instant::now()).serve(transport).await
    }

    /// Waits for `done`, meanwhile declining what is to be sent; `None` where the link closes first.
    async fn until<T>(&self, done: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            biased;
            () = self.shared.shutdown.cancelled() => None,
            never = self.decline() => match never {},
            value = done => Some(value),
        }
    }

    /// A slot may outlive the connection it was given for: what it brings then is not sent.
    pub(super) async fn decline(&self) -> Infallible {
        let mut commands = Vec::new();
        loop {
            poll_fn(|cx| self.queue().poll_take(cx, &mut commands)).await;
            self.decline_all(&mut commands);
        }
    }

    fn decline_all(&self, commands: &mut Vec<Command>) {
        commands.drain(..).for_each(|command| command.decline(&self.shared.binds));
    }

    /// What is to be sent over this bind.
    pub(super) fn queue(&self) -> &Queue {
        self.shared.binds.queue(self.index)
    }

    pub(super) fn set_state(&self, state: LinkState) {
        self.shared.binds.set(self.index, state);
    }
}

/// However the task ends, nobody waits for it for ever.
impl Drop for BindTask {
    fn drop(&mut self) {
        self.set_state(LinkState::Closed);
        self.decline_all(&mut self.queue().close());
    }
}
