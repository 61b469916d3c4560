//! What the API shows: the JSON form of writes, cards and timelines. Absent members stand for what is not known.

use serde::Serialize;
use utoipa::ToSchema;

use crate::card::{Card, Subscription};
use crate::gateway;
use crate::identity::{Eid, Iccid, Imei, Imsi, Msisdn};
use crate::store::records::{FactRecord, Write, WritePlan};

use super::schema;
use super::time::Timestamp;

/// A page of a list.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Page)]
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
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Write)]
pub struct WriteView {
    /// Its id.
    #[schema(value_type = schema::WriteId)]
    pub id: String,
    /// Where it stands.
    #[schema(value_type = schema::WriteState)]
    pub state: &'static str,
    /// The device that was ordered.
    pub device: DeviceView,
    /// What the card is to become.
    pub subscription: SubscriptionView,
    /// The card, once known.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::CardId>)]
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
    /// How packets reach the card: as ordered, or as decided when the write began.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Bearer>)]
    pub bearer: Option<&'static str>,
    /// The write that this one tries again.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::WriteId>)]
    pub retry_of: Option<String>,
    /// Where it is effective: whether the card proved that it sits in the device that was ordered.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imei_verified: Option<bool>,
    /// Why it ended or is held, in a line.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What decision it waits for: `wrong_device`, where the card reported another device than was ordered.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, example = "wrong_device")]
    pub hold: Option<&'static str>,
    /// By remote file management, once the card is known: what it takes, and how far it has come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plan: Option<PlanView>,
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
            bearer: write.reaches_by().map(crate::card::Bearer::name),
            retry_of: write.retry_of.map(|id| id.to_string()),
            imei_verified: write.imei_verified,
            reason: write.reason.clone(),
            hold: write.hold.map(crate::card::Hold::name),
            plan: write.plan.map(PlanView::from),
            resent: write.resent,
            cancel_requested: write.cancel,
            seq: write.seq,
        }
    }
}

/// What a write by remote file management takes, where nothing goes out twice.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Plan)]
pub struct PlanView {
    /// Scripts of commands: a secured packet each, answered before the next one goes out.
    pub scripts: u32,
    /// Short messages to the card.
    pub parts: u32,
    /// Short messages to the card and from it.
    pub messages: u32,
    /// Scripts that the card has executed.
    pub step: u32,
}

impl From<WritePlan> for PlanView {
    fn from(WritePlan { scripts, parts, messages, step }: WritePlan) -> Self {
        Self { scripts, parts, messages, step }
    }
}

/// A device.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Device)]
pub struct DeviceView {
    /// 15 digits with check digit.
    #[schema(value_type = schema::Imei)]
    pub imei: Imei,
}

/// The numbers of a subscription.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Subscription)]
pub struct SubscriptionView {
    /// 14 or 15 digits.
    #[schema(value_type = schema::Imsi)]
    pub imsi: Imsi,
    /// International, without `+`.
    #[schema(value_type = schema::Msisdn)]
    pub msisdn: Msisdn,
    /// The subscription's own card number.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Iccid>)]
    pub iccid: Option<Iccid>,
    /// Service centre address.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Msisdn>)]
    pub smsc: Option<Msisdn>,
}

impl From<&Subscription> for SubscriptionView {
    fn from(subscription: &Subscription) -> Self {
        let Subscription { imsi, msisdn, iccid, smsc } = *subscription;
        Self { imsi, msisdn, iccid, smsc }
    }
}

/// A card.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Card)]
pub struct CardView {
    /// Its id.
    #[schema(value_type = schema::CardId)]
    pub id: String,
    /// 32 digits.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Eid>)]
    pub eid: Option<Eid>,
    /// The number it came with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Iccid>)]
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
    /// The binding that waits for a decision: it contradicts another one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held: Option<BindingView>,
    /// The device that somebody claims it is in; the card is asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub claimed: Option<BindingView>,
    /// The write it is busy with.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::WriteId>)]
    pub active_write: Option<String>,
    /// The writes that wait for their turn, next first.
    #[schema(value_type = Vec<schema::WriteId>)]
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
            binding: card.binding.as_ref().map(|binding| BindingView::new(binding.imei, binding.since)),
            held: card.held.as_ref().map(|held| BindingView::new(held.imei, held.since)),
            claimed: card.claimed.as_ref().map(|claimed| BindingView::new(claimed.imei, claimed.since)),
            active_write: card.active.as_ref().map(|active| active.order.id.to_string()),
            queue: card.queue.iter().map(ToString::to_string).collect(),
        }
    }
}

/// The relation of a card and its device: proved, supplied, held or claimed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Binding)]
pub struct BindingView {
    /// The device.
    #[schema(value_type = schema::Imei)]
    pub imei: Imei,
    /// Since when.
    pub since: Timestamp,
}

impl BindingView {
    pub(super) fn new(imei: Imei, since: u64) -> Self {
        Self { imei, since: Timestamp::from_unix_ms(since) }
    }
}

/// An entry of the timeline of a card or write.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Timeline)]
pub struct TimelineView {
    /// Its place in the card's timeline; 0 before a card was known.
    pub seq: u64,
    /// When it happened.
    pub at: Timestamp,
    /// What happened.
    #[schema(example = "write.effective")]
    pub r#type: String,
    /// The write it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::WriteId>)]
    pub write: Option<String>,
    /// Its sequence among the write's events.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write_seq: Option<u32>,
    /// The device it is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<schema::Imei>)]
    pub imei: Option<Imei>,
    /// More about it, in a line.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schema(required = false)]
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

impl TimelineView {
    /// That an order was accepted, for a write whose card was not known then.
    pub(super) fn accepted(write: &Write) -> Self {
        Self::without_card(write, "write.accepted", write.created, 1)
    }

    /// That a write ended for which no card was ever known.
    pub(super) fn ended(write: &Write, at: u64) -> Self {
        Self::without_card(write, &format!("write.{}", write.state.name()), at, write.seq)
    }

    fn without_card(write: &Write, kind: &str, at: u64, seq: u32) -> Self {
        Self {
            seq: 0,
            at: Timestamp::from_unix_ms(at),
            r#type: kind.to_owned(),
            write: Some(write.id.to_string()),
            write_seq: Some(seq),
            imei: Some(write.imei),
            detail: write.reason.clone().filter(|_| seq > 1).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::applet::BindingAck;
    use crate::applet::BindingResult;
    use crate::card::{Binding, CardId, End, Hold, WriteId, WriteState};

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
            decided: None,
            retry_of: None,
            imei_verified: None,
            profile: None,
            plan: Some(WritePlan { scripts: 2, parts: 5, messages: 7, step: 1 }),
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
            "plan": {"scripts": 2, "parts": 5, "messages": 7, "step": 1},
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
