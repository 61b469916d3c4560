//! The applet's own reasons: `detail` of a write result that refuses or rolls back.

/// Nothing to add.
pub const NONE: u8 = 0;
/// The message is for another card.
pub const OTHER_EID: u8 = 1;
/// The card sits in another device than ordered.
pub const OTHER_IMEI: u8 = 2;
/// A transaction id below one that was already taken up.
pub const TID_TOO_LOW: u8 = 3;
/// Another write is under way. This one was not taken up: it may come again under the same transaction id.
pub const BUSY: u8 = 4;
/// The message carries a key block, which this card cannot unwrap.
pub const KEY_BLOCK: u8 = 5;
/// Rolled back: no service under the new subscription.
pub const NO_SERVICE: u8 = 6;

/// A detail in words, with its number where it is none of these.
#[must_use]
pub fn words(detail: u8) -> String {
    match detail {
        NONE => "no reason given".to_owned(),
        OTHER_EID => "the message is for another card".to_owned(),
        OTHER_IMEI => "the card is in another device".to_owned(),
        TID_TOO_LOW => "a later write was taken up before".to_owned(),
        BUSY => "another write is under way".to_owned(),
        KEY_BLOCK => "the card cannot unwrap keys".to_owned(),
        NO_SERVICE => "no service under the new subscription".to_owned(),
        other => format!("detail {other}"),
    }
}
