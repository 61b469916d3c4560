//! alert_notification: the network says that a number can be reached again. It is a sign of life and nothing more.

use tokio::sync::broadcast::error::RecvError;

use crate::card::Event;
use crate::link::Link;
use crate::smpp::Address;

use super::Gateway;
use super::inbound::Candidate;
use super::job::{CardError, Input};

impl Gateway {
    /// Wakes the cards of the numbers that a link reports.
    pub(super) async fn run_alerts(self, link: Link) {
        let mut alerts = link.alerts();
        loop {
            let alert = tokio::select! {
                biased;
                () = self.0.closing.cancelled() => return,
                alert = alerts.recv() => alert,
            };
            match alert {
                Ok(address) => {
                    if let Err(error) = self.take_alert(&link, &address).await {
                        tracing::warn!(link = %link.name(), %error, "alert_notification not taken");
                    }
                }
                // They come in vain now and then: what waits goes out by its own plan.
                Err(RecvError::Lagged(lost)) => {
                    tracing::warn!(link = %link.name(), lost, "alerts passed over")
                }
                Err(RecvError::Closed) => return,
            }
        }
    }

    async fn take_alert(&self, link: &Link, address: &Address) -> Result<(), CardError> {
        let Some(number) = link.dialect().number(address) else { return Ok(()) };
        for Candidate { card, .. } in self.candidates(number).await? {
            self.on_card(card.id, Input::Event(Event::Alert)).await?;
        }
        Ok(())
    }
}
