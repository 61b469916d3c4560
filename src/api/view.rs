//! What the API shows: the JSON form of writes, cards and timelines. Absent members stand for what is not known.

use serde::Serialize;

use crate::card::{Binding, Card, Subscription};
use crate::gateway;
use crate::identity::{Eid, Iccid, Imei, Imsi, Msisdn};
use crate::store::records::{FactRecord, Write};

use super::time::Timestamp;

/// A page of a list.
#[derive(Debug, Serialize)]
pub struct PageView<T> {
    /// The entries, in the list's order.
    pub items: Vec<T>,
    /// What to pass as `cursor` for the next page; `null` on the last one.
    pub next: Option<String>,
}

impl<T> PageView<T> {
    /// The page with each entry shown as `T`.
    pub(super) fn of<R, C: ToString>(page: &gateway::Page<R, C>) -> Self
    where
        T: for<'a> From<&'a R>,
    {
        let next = page.next.as_ref().map(ToString::to_string);
        Self { items: page.items.iter().map(T::from).collect(), next }
    }
}

/// A write: one order to open a card.
#[derive(Debug, Serialize)]
pub struct WriteView {
    /// `wrt_…`.
    pub id: String,
    /// Where it stands: `waiting`, `queued`, `sealed`, `sent`, `unknown`, `written`, or one of the ends `effective`,
    /// `failed`, `rolled_back`, `cancelled`, `expired`, `unresolved`.
    pub state: &'static str,
    /// The device that was ordered.
    pub device: DeviceView,
    /// What the card is to become.
    pub subscription: SubscriptionView,
    /// The card (`crd_…`), once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
    /// The caller's own id of the order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_order_id: Option<String>,
    /// When it was accepted.
    pub created_at: Timestamp,
    /// When anything shown here last changed.
    pub updated_at: Timestamp,
    /// Nothing is begun after this.
    pub deadline: Timestamp,
    /// When the card took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub written_at: Option<Timestamp>,
    /// When it came to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Why it ended or is held, in a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What decision it waits for: `wrong_device`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<&'static str>,
    /// How often the same octets went out again.
    pub resent: u32,
    /// Whether its cancellation was asked for.
    pub cancel_requested: bool,
    /// Sequence of its last event: grows with every one.
    pub seq: u32,
}

impl From<&Write> for WriteView {
    fn from(write: &Write) -> Self {
        Self {
            id: write.id.to_string(),
            state: write.state.name(),
            device: DeviceView { imei: write.imei },
            subscription: SubscriptionView::from(&write.target),
            card: write.card.map(|card| card.to_string()),
            client_order_id: write.client_order_id.clone(),
            created_at: Timestamp::from_unix_ms(write.created),
            updated_at: Timestamp::from_unix_ms(write.updated),
            deadline: Timestamp::from_unix_ms(write.deadline),
            written_at: write.written_at.map(Timestamp::from_unix_ms),
            ended_at: write.ended_at.map(Timestamp::from_unix_ms),
            reason: write.reason.clone(),
            hold: write.hold.map(crate::card::Hold::name),
            resent: write.resent,
            cancel_requested: write.cancel,
            seq: write.seq,
        }
    }
}

/// A device.
#[derive(Debug, Serialize)]
pub struct DeviceView {
    /// 15 digits with check digit.
    pub imei: Imei,
}

/// The numbers of a subscription.
#[derive(Debug, Serialize)]
pub struct SubscriptionView {
    /// 14 or 15 digits.
    pub imsi: Imsi,
    /// International, without `+`.
    pub msisdn: Msisdn,
    /// The subscription's own card number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iccid: Option<Iccid>,
    /// Service centre address.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub smsc: Option<Msisdn>,
}

impl From<&Subscription> for SubscriptionView {
    fn from(subscription: &Subscription) -> Self {
        let Subscription { imsi, msisdn, iccid, smsc } = *subscription;
        Self { imsi, msisdn, iccid, smsc }
    }
}

/// A card.
#[derive(Debug, Serialize)]
pub struct CardView {
    /// `crd_…`.
    pub id: String,
    /// 32 digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eid: Option<Eid>,
    /// The number it came with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub iccid: Option<Iccid>,
    /// Name of its profile.
    pub profile: String,
    /// The subscription in effect.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub current: Option<SubscriptionView>,
    /// The subscription it left the factory with.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub preset: Option<SubscriptionView>,
    /// The device it reported.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub binding: Option<BindingView>,
    /// The write it is busy with (`wrt_…`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub active_write: Option<String>,
    /// The writes that wait for their turn, next first.
    pub queue: Vec<String>,
}

impl From<&Card> for CardView {
    fn from(card: &Card) -> Self {
        Self {
            id: card.id.to_string(),
            eid: card.eid,
            iccid: card.iccid,
            profile: card.profile.clone(),
            current: card.current.as_ref().map(SubscriptionView::from),
            preset: card.preset.as_ref().map(SubscriptionView::from),
            binding: card.binding.as_ref().map(BindingView::from),
            active_write: card.active.as_ref().map(|active| active.order.id.to_string()),
            queue: card.queue.iter().map(ToString::to_string).collect(),
        }
    }
}

/// The relation of a card and its device.
#[derive(Debug, Serialize)]
pub struct BindingView {
    /// The device, as the card read it from the terminal.
    pub imei: Imei,
    /// Since when.
    pub since: Timestamp,
}

impl From<&Binding> for BindingView {
    fn from(binding: &Binding) -> Self {
        Self { imei: binding.imei, since: Timestamp::from_unix_ms(binding.since) }
    }
}

/// An entry of a card's timeline.
#[derive(Debug, Serialize)]
pub struct TimelineView {
    /// Its place in the timeline.
    pub seq: u64,
    /// When it happened.
    pub at: Timestamp,
    /// What happened: `binding.created`, `write.effective`, ….
    pub r#type: String,
    /// The write it is about (`wrt_…`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write: Option<String>,
    /// Its sequence among the write's events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_seq: Option<u32>,
    /// The device it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imei: Option<Imei>,
    /// More about it, in a line.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub detail: String,
}

impl From<&FactRecord> for TimelineView {
    fn from(fact: &FactRecord) -> Self {
        Self {
            seq: fact.seq,
            at: Timestamp::from_unix_ms(fact.at),
            r#type: fact.kind.clone(),
            write: fact.write.map(|(write, _)| write.to_string()),
            write_seq: fact.write.map(|(_, seq)| seq),
            imei: fact.imei,
            detail: fact.detail.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::applet::BindingAck;
    use crate::applet::BindingResult;
    use crate::card::{CardId, End, Hold, WriteId, WriteState};

    fn subscription() -> Subscription {
        Subscription {
            imsi: "001010123456789".parse().unwrap(),
            msisdn: "+447797704848".parse().unwrap(),
            iccid: None,
            smsc: Some("447797700000".parse().unwrap()),
        }
    }

    #[test]
    fn a_write_is_shown_with_its_names_and_times() {
        let mut write = Write {
            id: WriteId::from_octets([1; 16]),
            owner: "acme".parse().unwrap(),
            imei: "357805023984942".parse().unwrap(),
            target: subscription(),
            client_order_id: Some("order-7".into()),
            created: 1_769_860_800_000,
            updated: 1_769_860_801_000,
            deadline: 1_769_947_200_000,
            state: WriteState::Written,
            reason: None,
            hold: Some(Hold::WrongDevice),
            card: Some(CardId::from_octets([2; 16])),
            tid: Some(7),
            cntr: Some(9),
            resent: 1,
            cancel: true,
            seq: 4,
            written_at: Some(1_769_860_801_000),
            ended_at: None,
            bearer: None,
            retry_of: None,
            imei_verified: None,
            profile: None,
        };
        let shown = json!({
            "id": "wrt_01010101010101010101010101010101",
            "state": "written",
            "device": {"imei": "357805023984942"},
            "subscription": {"imsi": "001010123456789", "msisdn": "447797704848", "smsc": "447797700000"},
            "card": "crd_02020202020202020202020202020202",
            "client_order_id": "order-7",
            "created_at": "2026-01-31T12:00:00.000Z",
            "updated_at": "2026-01-31T12:00:01.000Z",
            "deadline": "2026-02-01T12:00:00.000Z",
            "written_at": "2026-01-31T12:00:01.000Z",
            "hold": "wrong_device",
            "resent": 1,
            "cancel_requested": true,
            "seq": 4,
        });
        assert_eq!(serde_json::to_value(WriteView::from(&write)).unwrap(), shown);
        write.state = WriteState::Ended(End::RolledBack);
        assert_eq!(WriteView::from(&write).state, "rolled_back");
    }

    #[test]
    fn a_card_is_shown_without_its_counters_and_keys() {
        let mut card = Card::new(CardId::from_octets([2; 16]), "acme".parse().unwrap(), "applet".into(), 1);
        card.current = Some(subscription());
        card.queue.push(WriteId::from_octets([1; 16]));
        let answered = BindingAck { tid: 1, result: BindingResult::Saved };
        let imei = "357805023984942".parse().unwrap();
        card.binding = Some(Binding { imei, since: 0, mo_cntr: 1, answered: Some(answered) });
        let shown = json!({
            "id": "crd_02020202020202020202020202020202",
            "profile": "applet",
            "current": {"imsi": "001010123456789", "msisdn": "447797704848", "smsc": "447797700000"},
            "binding": {"imei": "357805023984942", "since": "1970-01-01T00:00:00.000Z"},
            "queue": ["wrt_01010101010101010101010101010101"],
        });
        assert_eq!(serde_json::to_value(CardView::from(&card)).unwrap(), shown);
    }

    #[test]
    fn pages_say_where_they_go_on() {
        let items = vec!["a".to_owned(), "b".to_owned()];
        let page = PageView::<String>::of(&gateway::Page { items, next: Some(2_u64) });
        assert_eq!(serde_json::to_value(page).unwrap(), json!({"items": ["a", "b"], "next": "2"}));
        let last = PageView::<String>::of(&gateway::Page::<String, u64> { items: vec![], next: None });
        assert_eq!(serde_json::to_value(last).unwrap(), json!({"items": [], "next": null}));
    }
}
