//! Values of SMPP fields in words.

use crate::smpp::{EsmClass, MessageType, RegisteredDelivery, Version};

/// Type of number (SMPP 3.4 §5.2.5).
pub(super) fn ton(octet: u8) -> &'static str {
    match octet {
        0 => "unknown",
        1 => "international",
        2 => "national",
        3 => "network specific",
        4 => "subscriber number",
        5 => "alphanumeric",
        6 => "abbreviated",
        _ => "reserved",
    }
}

/// Numbering plan (SMPP 3.4 §5.2.6).
pub(super) fn npi(octet: u8) -> &'static str {
    match octet {
        0 => "unknown",
        1 => "ISDN (E.164)",
        3 => "data (X.121)",
        4 => "telex (F.69)",
        6 => "land mobile (E.212)",
        8 => "national",
        9 => "private",
        10 => "ERMES",
        14 => "IP",
        18 => "WAP client id",
        _ => "reserved",
    }
}

/// esm_class (SMPP 3.4 §5.2.12): mode, type and features.
pub(super) fn esm_class(esm_class: EsmClass) -> String {
    let mode = match esm_class.0 & 0x03 {
        0 => "default mode",
        1 => "datagram mode",
        2 => "transaction mode",
        _ => "store and forward mode",
    };
    let mut words = vec![mode.to_owned()];
    words.push(match esm_class.message_type() {
        MessageType::Default => "default type".to_owned(),
        MessageType::DeliveryReceipt => "SMSC delivery receipt".to_owned(),
        MessageType::DeliveryAcknowledgement => "SME delivery acknowledgement".to_owned(),
        MessageType::UserAcknowledgement => "SME user acknowledgement".to_owned(),
        MessageType::ConversationAbort => "conversation abort".to_owned(),
        MessageType::IntermediateNotification => "intermediate notification".to_owned(),
        MessageType::Other(bits) => format!("reserved type {bits:02X}"),
    });
    words.extend(esm_class.udhi().then(|| "UDH indicator".to_owned()));
    words.extend(esm_class.reply_path().then(|| "reply path".to_owned()));
    words.join(", ")
}

/// registered_delivery (SMPP 3.4 §5.2.17).
pub(super) fn registered_delivery(octet: RegisteredDelivery) -> String {
    let receipt = match octet.0 & 0x03 {
        0 => "no receipt",
        1 => "receipt on success or failure",
        2 => "receipt on failure",
        _ => "receipt on success (5.0)",
    };
    let mut words = vec![receipt];
    words.extend((octet.0 & 0x04 != 0).then_some("SME delivery acknowledgement"));
    words.extend((octet.0 & 0x08 != 0).then_some("SME user acknowledgement"));
    words.extend(octet.intermediate().then_some("intermediate notifications"));
    words.join(", ")
}

/// interface_version (SMPP 3.4 §5.2.4).
pub(super) fn version(version: Version) -> String {
    format!("{}.{}", version.0 >> 4, version.0 & 0x0F)
}

/// data_coding (SMPP 3.4 §5.2.19).
pub(super) fn data_coding(octet: u8) -> String {
    match octet {
        0x00 => "SMSC default alphabet".to_owned(),
        0x01 => "IA5 (ASCII)".to_owned(),
        0x02 | 0x04 => "octets".to_owned(),
        0x03 => "Latin 1".to_owned(),
        0x05 => "JIS".to_owned(),
        0x06 => "Cyrillic".to_owned(),
        0x07 => "Latin and Hebrew".to_owned(),
        0x08 => "UCS2".to_owned(),
        0x09 => "pictogram".to_owned(),
        0x0A => "ISO-2022-JP".to_owned(),
        0x0D => "extended Kanji JIS".to_owned(),
        0x0E => "KS C 5601".to_owned(),
        _ => crate::explain::words::dcs(octet),
    }
}
