//! Delivery receipts (SMPP 3.4 appendix B), in the usual form and in those that other message centres have.

use bytes::Bytes;
use chrono::{DateTime, Utc};

use crate::sim::smsc::{Mt, message_id};
use crate::smpp::{EsmClass, MessageState, ShortMessage, Sm, Tlvs, tag};

/// GSM, and the card's refusal as TP-FCS (TS 23.040 §9.2.3.22), as network_error_code says them.
const REFUSED_BY_CARD: [u8; 3] = [3, 0x00, 0xD5];

/// How a receipt is spelled.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum Spelling {
    /// The text of the appendix, and the same in TLVs.
    #[default]
    Usual,
    /// The text of the appendix alone.
    TextOnly,
    /// TLVs alone.
    TlvsOnly,
    /// The id in hexadecimal without leading zeros, text alone: submit_sm_resp gave it in decimal.
    HexadecimalId,
    /// Other names of the fields, other case, seconds in the times, no counts, text alone.
    OtherNames,
}

impl Spelling {
    /// All but the usual one.
    pub(super) const OTHERS: [Self; 4] =
        [Self::TextOnly, Self::TlvsOnly, Self::HexadecimalId, Self::OtherNames];
}

/// The receipt of a message that ended in `state` now.
pub(super) fn receipt(mt: &Mt, now_ms: u64, state: MessageState, spelling: Spelling) -> Sm {
    let id = message_id(mt.message_id);
    let text = match spelling {
        Spelling::Usual | Spelling::TextOnly => appendix_b(&id, mt.submitted_ms, now_ms, state),
        Spelling::HexadecimalId => {
            appendix_b(&format!("{:x}", mt.message_id), mt.submitted_ms, now_ms, state)
        }
        Spelling::TlvsOnly => String::new(),
        Spelling::OtherNames => format!(
            "Id:{id} SubmitDate:{} DoneDate:{} Stat:{} Err:{}",
            time(mt.submitted_ms, "%y%m%d%H%M%S"),
            time(now_ms, "%y%m%d%H%M%S"),
            state.text().to_lowercase(),
            if state == MessageState::DELIVERED { "0" } else { "0D5" },
        ),
    };
    let tlvs = match spelling {
        Spelling::Usual | Spelling::TlvsOnly => tlvs(&id, state),
        Spelling::TextOnly | Spelling::HexadecimalId | Spelling::OtherNames => Tlvs::default(),
    };
    Sm {
        source: mt.destination,
        destination: mt.source,
        esm_class: EsmClass::DELIVERY_RECEIPT,
        short_message: ShortMessage::try_from(Bytes::from(text)).unwrap_or_default(),
        tlvs,
        ..Sm::default()
    }
}

fn appendix_b(id: &str, submitted_ms: u64, now_ms: u64, state: MessageState) -> String {
    let delivered = u8::from(state == MessageState::DELIVERED);
    let error = if state == MessageState::UNDELIVERABLE { "0D5" } else { "000" };
    format!(
        "id:{id} sub:001 dlvrd:00{delivered} submit date:{} done date:{} stat:{} err:{error} text:",
        time(submitted_ms, "%y%m%d%H%M"),
        time(now_ms, "%y%m%d%H%M"),
        state.text()
    )
}

fn tlvs(id: &str, state: MessageState) -> Tlvs {
    let mut c_id = id.as_bytes().to_vec();
    c_id.push(0);
    let tlvs = Tlvs::default()
        .with(tag::RECEIPTED_MESSAGE_ID, &c_id)
        .and_then(|tlvs| tlvs.with(tag::MESSAGE_STATE, &[state.0]));
    let tlvs = if state == MessageState::UNDELIVERABLE {
        tlvs.and_then(|tlvs| tlvs.with(tag::NETWORK_ERROR_CODE, &REFUSED_BY_CARD))
    } else {
        tlvs
    };
    tlvs.unwrap_or_default()
}

/// UTC in a form of chrono's.
fn time(ms: u64, form: &str) -> String {
    let ms = i64::try_from(ms).unwrap_or(i64::MAX);
    DateTime::<Utc>::from_timestamp_millis(ms).map_or_else(String::new, |at| at.format(form).to_string())
}
