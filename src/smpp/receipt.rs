//! Delivery receipts: TLVs first, then the text of appendix B, read leniently since every SMSC writes it
//! differently.

use super::{COctetString, MessageId, MessageState, MessageType, Sm, tag};

/// What a receipt says about an earlier message.
///
/// A receipt is not proof that a card executed anything: `DELIVERED` says that the terminal acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Receipt {
    /// The SMSC's id of the message, spelled as the SMSC spells it here (it may differ from submit_sm_resp:
    /// hexadecimal there, decimal here); empty where the receipt names none.
    pub message_id: MessageId,
    /// How far the message got.
    pub state: MessageState,
    /// Why, where the receipt says so.
    pub error_code: Option<ErrorCode>,
}

/// The error a receipt names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorCode {
    /// The TLV network_error_code (§5.3.2.31).
    Network {
        /// 1 ANSI-136, 2 IS-95, 3 GSM, 4 and above reserved.
        network: u8,
        /// The network's code.
        code: u16,
    },
    /// `err:` of the text, as written; vendors differ in base and meaning.
    Text(COctetString<16>),
}

/// Reads the receipt that `sm` is; `None` where it is none or names no state.
#[must_use]
pub fn parse(sm: &Sm) -> Option<Receipt> {
    let announced = matches!(
        sm.esm_class.message_type(),
        MessageType::DeliveryReceipt | MessageType::IntermediateNotification
    );
    let id_tlv = sm.tlvs.find(tag::RECEIPTED_MESSAGE_ID);
    if !announced && id_tlv.is_none() {
        return None;
    }
    let text = sm.user_data();
    let text = before_text_field(&text);
    let state = match sm.tlvs.find(tag::MESSAGE_STATE) {
        Some(&[state]) => MessageState(state),
        _ => MessageState::from_text(field(text, b"stat:")?)?,
    };
    let message_id = id_tlv
        .and_then(|value| value.split(|octet| *octet == 0).next())
        .or_else(|| field(text, b"id:"))
        .and_then(|id| MessageId::new(id).ok())
        .unwrap_or_default();
    let error_code = match sm.tlvs.find(tag::NETWORK_ERROR_CODE) {
        Some(&[network, high, low]) => {
            Some(ErrorCode::Network { network, code: u16::from_be_bytes([high, low]) })
        }
        _ => field(text, b"err:").and_then(|code| COctetString::new(code).ok()).map(ErrorCode::Text),
    };
    Some(Receipt { message_id, state, error_code })
}

/// The receipt without the original message's beginning, which may look like a receipt itself.
fn before_text_field(receipt: &[u8]) -> &[u8] {
    position(receipt, b"text:").and_then(|end| receipt.get(..end)).unwrap_or(receipt)
}

/// The value behind `key`: up to the next blank; blanks between key and value are skipped.
fn field<'a>(text: &'a [u8], key: &[u8]) -> Option<&'a [u8]> {
    let value = text.get(position(text, key)? + key.len()..)?.trim_ascii_start();
    let value = value.split(u8::is_ascii_whitespace).next().filter(|value| !value.is_empty())?;
    // An empty value is followed by the next key (`id: sub:001`).
    (!value.contains(&b':')).then_some(value)
}

/// Where `key` stands as a word of its own, in any case of letters.
fn position(text: &[u8], key: &[u8]) -> Option<usize> {
    text.windows(key.len()).enumerate().find_map(|(at, window)| {
        let before = at.checked_sub(1).and_then(|before| text.get(before));
        let starts_word = before.is_none_or(|octet| !octet.is_ascii_alphanumeric());
        (starts_word && window.eq_ignore_ascii_case(key)).then_some(at)
    })
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::smpp::{EsmClass, ShortMessage, Tlvs};

    fn receipt(text: &str) -> Sm {
        Sm {
            esm_class: EsmClass::DELIVERY_RECEIPT,
            short_message: ShortMessage::try_from(Bytes::copy_from_slice(text.as_bytes())).unwrap(),
            ..Sm::default()
        }
    }

    fn read(text: &str) -> (String, MessageState, Option<String>) {
        let receipt = parse(&receipt(text)).unwrap();
        let error = receipt.error_code.map(|code| match code {
            ErrorCode::Text(text) => text.to_string(),
            ErrorCode::Network { .. } => panic!("no TLV given"),
        });
        (receipt.message_id.to_string(), receipt.state, error)
    }

    #[test]
    fn reads_the_text_in_its_dialects() {
        let delivered = MessageState::DELIVERED;
        let code = |code: &str| Some(code.to_owned());
        for (text, expected) in [
            (
                "id:0123456789 sub:001 dlvrd:001 submit date:2611230930 done date:2611230931 stat:DELIVRD err:000 text:hi",
                ("0123456789", delivered, code("000")),
            ),
            (
                "id:a1f-7 submitdate:261123093011 donedate:261123093012 stat:UNDELIV err:0D4",
                ("a1f-7", MessageState::UNDELIVERABLE, code("0D4")),
            ),
            ("ID: 42 SUB:001 STAT: delivered ERR: 1", ("42", delivered, code("1"))),
            ("stat:EXPIRED", ("", MessageState::EXPIRED, None)),
            ("id: sub:001 stat:REJECTD err: text:", ("", MessageState::REJECTED, None)),
            ("id:7 stat:DELIVRD text:id:8 stat:EXPIRED err:9", ("7", delivered, None)),
            ("msgid:9 id:7 stat:DELIVRD", ("7", delivered, None)),
        ] {
            let expected = (expected.0.to_owned(), expected.1, expected.2);
            assert_eq!(read(text), expected, "{text}");
        }
    }

    #[test]
    fn tlvs_win_over_the_text() {
        let tlvs = Tlvs::default().with(tag::RECEIPTED_MESSAGE_ID, b"ABC\0").unwrap();
        let tlvs = tlvs.with(tag::MESSAGE_STATE, &[5]).unwrap();
        let tlvs = tlvs.with(tag::NETWORK_ERROR_CODE, &[3, 0, 0xD4]).unwrap();
        let sm = Sm { tlvs, ..receipt("id:1 stat:DELIVRD err:000") };
        let expected = Receipt {
            message_id: MessageId::new(b"ABC").unwrap(),
            state: MessageState::UNDELIVERABLE,
            error_code: Some(ErrorCode::Network { network: 3, code: 0xD4 }),
        };
        assert_eq!(parse(&sm), Some(expected.clone()));
        // The TLV alone makes a receipt, whatever esm_class says.
        assert_eq!(parse(&Sm { esm_class: EsmClass::DEFAULT, ..sm }), Some(expected));
    }

    #[test]
    fn tlvs_of_wrong_length_fall_back_to_the_text() {
        let tlvs = Tlvs::default().with(tag::MESSAGE_STATE, &[5, 5]).unwrap();
        let tlvs = tlvs.with(tag::NETWORK_ERROR_CODE, &[3]).unwrap();
        let receipt = parse(&Sm { tlvs, ..receipt("id:1 stat:DELIVRD err:012") }).unwrap();
        assert_eq!(receipt.state, MessageState::DELIVERED);
        assert_eq!(receipt.error_code, Some(ErrorCode::Text("012".parse().unwrap())));
    }

    #[test]
    fn other_messages_are_no_receipts() {
        assert_eq!(parse(&Sm { esm_class: EsmClass::UDHI, ..receipt("id:1 stat:DELIVRD") }), None);
        assert_eq!(parse(&receipt("thank you for your message")), None);
        assert_eq!(parse(&receipt("")), None);
    }
}
