//! The body of a webhook.

use serde::Serialize;
use sha2::{Digest, Sha256};

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
    /// card and `seq` where there is no write, or of the link and `seq`.
    pub id: String,
    /// Its place among the events of that write, card or link.
    pub seq: u64,
    /// The write (`wrt_…`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub write: Option<String>,
    /// The card (`crd_…`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub card: Option<String>,
    /// The name of the link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub link: Option<&'a str>,
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
        let data = EventData { id, seq: 0, write: None, card: None, link: None, imei: None, detail: "" };
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
        let link = fact.link.as_deref();
        let subject = write.clone().or(card.clone()).or(link.map(link_id));
        let id = format!("{}.{seq}", subject.as_deref().unwrap_or(fact.owner.as_str()));
        let data = EventData { id, seq, write, card, link, imei: fact.imei, detail: &fact.detail };
        Self { r#type: &fact.kind, timestamp: Timestamp::from_unix_ms(fact.at), data }
    }
}

/// Stands for a link in ids, which are headers: a link may have any name.
fn link_id(name: &str) -> String {
    let digest: Vec<u8> = Sha256::digest(name).into_iter().take(8).collect();
    format!("lnk_{}", hex::encode(digest))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::card::{CardId, WriteId};

    impl Event<'_> {
        pub(in crate::api::webhook) fn example() -> Self {
            let data = EventData {
                id: "a.1".into(),
                seq: 1,
                write: None,
                card: None,
                link: None,
                imei: None,
                detail: "",
            };
            Self { r#type: "card.hint", timestamp: Timestamp::from_unix_ms(0), data }
        }
    }

    #[test]
    fn an_event_is_named_by_its_write_or_else_by_its_card_or_link() {
        let mut fact = FactRecord {
            at: 1_769_860_800_000,
            owner: "acme".parse().unwrap(),
            kind: "write.effective".into(),
            card: Some(CardId::from_octets([2; 16])),
            seq: 17,
            write: Some((WriteId::from_octets([1; 16]), 5)),
            imei: Some("357805023984942".parse().unwrap()),
            detail: "confirmed".into(),
            link: None,
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
        let told = FactRecord {
            kind: "link.refused".into(),
            card: None,
            imei: None,
            seq: 2,
            detail: "ESME_RINVPASWD".into(),
            link: Some("north".into()),
            ..fact
        };
        let shown = json!({
            "id": "lnk_dc365e79d41cfae1.2",
            "seq": 2,
            "link": "north",
            "detail": "ESME_RINVPASWD",
        });
        assert_eq!(serde_json::to_value(Event::from(&told)).unwrap()["data"], shown);
    }
}
