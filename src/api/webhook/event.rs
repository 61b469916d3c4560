//! The body of a webhook.

use serde::Serialize;

use crate::identity::Imei;
use crate::store::records::FactRecord;

use super::super::time::Timestamp;

/// An event as an endpoint gets it.
#[derive(Debug, Serialize)]
pub struct Event<'a> {
    /// What happened: `binding.created`, `write.effective`, ….
    pub r#type: &'a str,
    /// When it happened.
    pub timestamp: Timestamp,
    /// What it happened to.
    pub data: EventData<'a>,
}

/// What an event is about.
#[derive(Debug, Serialize)]
pub struct EventData<'a> {
    /// The event's own id, the same at every attempt and the value of `webhook-id`: of the write and `seq`, or of the
    /// card and `seq` where there is no write.
    pub id: String,
    /// Its place among the events of that write, or card.
    pub seq: u64,
    /// The write (`wrt_…`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write: Option<String>,
    /// The card (`crd_…`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
    /// The device.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub imei: Option<Imei>,
    /// More about it, in a line.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub detail: &'a str,
}

impl Event<'static> {
    /// An event that says nothing but that events arrive.
    pub(in crate::api) fn test(id: String, now_ms: u64) -> Self {
        let data = EventData { id, seq: 0, write: None, card: None, imei: None, detail: "" };
        Self { r#type: "endpoint.test", timestamp: Timestamp::from_unix_ms(now_ms), data }
    }
}

impl Event<'_> {
    /// The event's id.
    pub(in crate::api) fn id(&self) -> &str {
        &self.data.id
    }
}

impl<'a> From<&'a FactRecord> for Event<'a> {
    fn from(fact: &'a FactRecord) -> Self {
        let write = fact.write.map(|(write, _)| write.to_string());
        let card = fact.card.map(|card| card.to_string());
        let seq = fact.write.map_or(fact.seq, |(_, seq)| u64::from(seq));
        let subject = write.as_deref().or(card.as_deref()).unwrap_or(fact.owner.as_str());
        let id = format!("{subject}.{seq}");
        let data = EventData { id, seq, write, card, imei: fact.imei, detail: &fact.detail };
        Self { r#type: &fact.kind, timestamp: Timestamp::from_unix_ms(fact.at), data }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::card::{CardId, WriteId};

    impl Event<'_> {
        pub(in crate::api::webhook) fn example() -> Self {
            let data =
                EventData { id: "a.1".into(), seq: 1, write: None, card: None, imei: None, detail: "" };
            Self { r#type: "card.hint", timestamp: Timestamp::from_unix_ms(0), data }
        }
    }

    #[test]
    fn an_event_is_named_by_its_write_or_else_by_its_card() {
        let mut fact = FactRecord {
            at: 1_769_860_800_000,
            owner: "acme".parse().unwrap(),
            kind: "write.effective".into(),
            card: Some(CardId::from_octets([2; 16])),
            seq: 17,
            write: Some((WriteId::from_octets([1; 16]), 5)),
            imei: Some("357805023984942".parse().unwrap()),
            detail: "confirmed".into(),
        };
        let shown = json!({
            "type": "write.effective",
            "timestamp": "2026-01-31T12:00:00.000Z",
            "data": {
                "id": "wrt_01010101010101010101010101010101.5",
                "seq": 5,
                "write": "wrt_01010101010101010101010101010101",
                "card": "crd_02020202020202020202020202020202",
                "imei": "357805023984942",
                "detail": "confirmed",
            },
        });
        assert_eq!(serde_json::to_value(Event::from(&fact)).unwrap(), shown);
        fact.write = None;
        assert_eq!(Event::from(&fact).id(), "crd_02020202020202020202020202020202.17");
        assert_eq!(Event::from(&fact).data.seq, 17);
    }
}
