//! Delivery receipts: TLVs first, then the text of appendix B, read leniently since every SMSC writes it
//! differently.

use std::borrow::Cow;

use chrono::{NaiveDate, NaiveDateTime};

use super::{COctetString, MessageId, MessageState, MessageType, NetworkErrorCode, Sm};

/// What a receipt says about an earlier message.
///
/// A receipt is not proof that a card executed anything: `DELIVERED` says that the terminal acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The SMSC's id of the message, spelled as the SMSC spells it here (it may differ from submit_sm_resp:
    /// hexadecimal there, decimal here); empty where the receipt names none.
    pub message_id: MessageId,
    /// How far the message got; [`MessageState::UNKNOWN`] where the receipt does not say it in words that are known.
    pub state: MessageState,
    /// Whether it is an intermediate notification: whatever its state, the last word is yet to come.
    pub intermediate: bool,
    /// Why, where the receipt says so.
    pub error_code: Option<ErrorCode>,
    /// When the SMSC took the message, by a clock whose zone the receipt does not name.
    pub submitted: Option<NaiveDateTime>,
    /// When the message got into its state, by the same clock.
    pub done: Option<NaiveDateTime>,
}

/// The error a receipt names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// The TLV network_error_code.
    Network(NetworkErrorCode),
    /// `err:` of the text, as written; vendors differ in base and meaning.
    Text(COctetString<16>),
}

/// Names of the message id in a receipt's text. A name has no blank before its colon in the specification, and may
/// have one in the field; capitals do not count.
const ID: &[&str] = &["id", "msgid", "msg_id", "messageid", "message_id"];
/// Names of the state.
const STATE: &[&str] = &["stat", "status", "state"];
/// Names of the error.
const ERROR: &[&str] = &["err", "error", "errcode", "error_code"];
/// Names of the time of submission.
const SUBMITTED: &[&str] = &["submit date", "submitdate", "submit_date", "submit-date"];
/// Names of the time of the last change.
const DONE: &[&str] = &["done date", "donedate", "done_date", "done-date"];
/// Where the beginning of the original message stands, which may look like a receipt itself.
const TEXT: &[&str] = &["text"];

/// What follows an empty value: `id: sub:001`, `id: submit date:…`.
const NEXT_NAMES: [&str; 8] = ["sub", "dlvrd", "submit", "submitdate", "done", "stat", "err", "text"];

/// States in words that are not those of appendix B, by their beginning. They stand before those of
/// [`MessageState::from_text`], which would take `DELIVERY_FAILED` for a success.
const OTHER_STATES: [(&str, MessageState); 11] = [
    ("DELIVERY_FAIL", MessageState::UNDELIVERABLE),
    ("DELIVERYFAIL", MessageState::UNDELIVERABLE),
    ("FAIL", MessageState::UNDELIVERABLE),
    ("NOT", MessageState::UNDELIVERABLE),
    ("UNDLV", MessageState::UNDELIVERABLE),
    ("DLV", MessageState::DELIVERED),
    ("SUCCESS", MessageState::DELIVERED),
    ("BUFF", MessageState::ENROUTE),
    ("PENDING", MessageState::ENROUTE),
    ("CANCEL", MessageState::DELETED),
    ("BLOCK", MessageState::REJECTED),
];

/// Reads the receipt that `sm` is; `None` where it is none. A data_sm becomes an `Sm` first.
///
/// esm_class announces a receipt, or the TLV receipted_message_id does together with a state. The text may be empty.
#[must_use]
pub fn parse(sm: &Sm) -> Option<Receipt> {
    let (message_type, tlvs) = (sm.esm_class.message_type(), &sm.tlvs);
    let intermediate = message_type == MessageType::IntermediateNotification;
    let announced = intermediate || message_type == MessageType::DeliveryReceipt;
    let id_tlv = tlvs.receipted_message_id();
    if !announced && id_tlv.is_none() {
        return None;
    }
    let text = sm.user_data();
    let text = plain_text(&text);
    let text = before_original(&text);
    let message_id = id_tlv
        .as_ref()
        .map(|id| id.as_bytes().trim_ascii())
        .filter(|id| !id.is_empty())
        .or_else(|| value(text, ID))
        .and_then(|id| MessageId::new(id).ok());
    let state = tlvs.message_state().or_else(|| value(text, STATE).map(state_of));
    let state = match state {
        Some(state) => state,
        None if announced && message_id.is_some() => MessageState::UNKNOWN,
        None => return None,
    };
    let error_text = || value(text, ERROR).and_then(|code| COctetString::new(code).ok()).map(ErrorCode::Text);
    let error_code = tlvs.network_error_code().map(ErrorCode::Network).or_else(error_text);
    Some(Receipt {
        message_id: message_id.unwrap_or_default(),
        state,
        intermediate,
        error_code,
        submitted: behind(text, SUBMITTED).and_then(date),
        done: behind(text, DONE).and_then(date),
    })
}

/// The text without NUL: some SMSCs count the end mark, some write in UCS-2.
fn plain_text(octets: &[u8]) -> Cow<'_, [u8]> {
    if octets.contains(&0) {
        octets.iter().copied().filter(|octet| *octet != 0).collect()
    } else {
        octets.into()
    }
}

fn before_original(receipt: &[u8]) -> &[u8] {
    let original = behind(receipt, TEXT).map_or(0, <[u8]>::len);
    receipt.get(..receipt.len() - original).unwrap_or(receipt)
}

/// One word behind one of `names`; `None` where there is none or it is the next name already.
fn value<'a>(text: &'a [u8], names: &[&str]) -> Option<&'a [u8]> {
    let ends = |octet: &u8| octet.is_ascii_whitespace() || matches!(octet, b',' | b';');
    let value = behind(text, names)?.split(ends).next()?;
    let name = value.split(|octet| matches!(octet, b':' | b'=')).next()?;
    let is_name = NEXT_NAMES.iter().any(|next| name.eq_ignore_ascii_case(next.as_bytes()));
    (!value.is_empty() && !is_name).then_some(value)
}

/// All that stands behind the first of `names` that is there, its colon and blanks.
fn behind<'a>(text: &'a [u8], names: &[&str]) -> Option<&'a [u8]> {
    names.iter().find_map(|name| behind_name(text, name.as_bytes()))
}

/// `name` as a word of its own, in any case of letters, with a colon or an equals sign behind it.
fn behind_name<'a>(text: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    text.windows(name.len()).enumerate().find_map(|(at, window)| {
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        let within_word = before.is_some_and(|octet| octet.is_ascii_alphanumeric() || b"_-".contains(octet));
        if within_word || !window.eq_ignore_ascii_case(name) {
            return None;
        }
        match text.get(at + name.len()..)?.trim_ascii_start().split_first()? {
            (b':' | b'=', value) => Some(value.trim_ascii_start()),
            _ => None,
        }
    })
}

/// The state that a word or a number says.
fn state_of(word: &[u8]) -> MessageState {
    let number = std::str::from_utf8(word).ok().and_then(|word| word.parse().ok());
    let begins =
        |name: &str| word.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name.as_bytes()));
    match number {
        Some(number @ 0..=9) => MessageState(number),
        Some(_) => MessageState::UNKNOWN,
        None => OTHER_STATES
            .into_iter()
            .find_map(|(name, state)| begins(name).then_some(state))
            .or_else(|| MessageState::from_text(word))
            .unwrap_or(MessageState::UNKNOWN),
    }
}

/// A time of 10 or 12 digits (`YYMMDDhhmm`, then `ss`), or with four digits for the year, or with what people put
/// between the digits. Tenths of a second and zone of an SMPP time (§7.1.1) are not read.
fn date(text: &[u8]) -> Option<NaiveDateTime> {
    let digits: Vec<u32> = text
        .iter()
        .take_while(|octet| octet.is_ascii_digit() || b"-/:. T".contains(octet))
        .filter_map(|octet| char::from(*octet).to_digit(10))
        .collect();
    let pairs: Vec<u32> =
        digits.chunks_exact(2).filter_map(|pair| Some(pair.first()? * 10 + pair.get(1)?)).collect();
    let short_year = |rest: &[u32]| match *rest {
        [year, month, day, hour, minute, second] => at(2000 + year, month, day, [hour, minute, second]),
        [year, month, day, hour, minute] => at(2000 + year, month, day, [hour, minute, 0]),
        _ => None,
    };
    let long_year = |rest: &[u32]| match *rest {
        [century, year, month, day, hour, minute] => at(century * 100 + year, month, day, [hour, minute, 0]),
        [century, year, month, day, hour, minute, second] => {
            at(century * 100 + year, month, day, [hour, minute, second])
        }
        _ => None,
    };
    match digits.len() {
        10 | 12 | 14 => short_year(&pairs).or_else(|| long_year(&pairs)),
        15 => short_year(pairs.get(..6)?),
        _ => None,
    }
}

fn at(year: u32, month: u32, day: u32, [hour, minute, second]: [u32; 3]) -> Option<NaiveDateTime> {
    NaiveDate::from_ymd_opt(year.try_into().ok()?, month, day)?.and_hms_opt(hour, minute, second)
}

#[cfg(test)]
mod tests;
