//! How identifiers look in the OpenAPI document. The types are never made: they stand for the text of the real ones,
//! which live in rooms that know nothing of HTTP.

use utoipa::ToSchema;

use crate::card::WriteState as State;

/// Texts of one form.
macro_rules! texts {
    ($($(#[$doc:meta])* $name:ident: $pattern:literal, $example:literal;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, ToSchema)]
        #[schema(value_type = String, pattern = $pattern, example = $example)]
        pub(super) struct $name(());
    )+};
}

texts! {
    /// Device: 15 digits, the last a check digit (Luhn), or the 16 digits of an IMEISV.
    Imei: "^[0-9]{15,16}$", "357805023984942";
    /// eUICC or card: 32 digits with two check digits (ISO 7064 MOD 97-10).
    Eid: "^[0-9]{32}$", "89034011560010000000000000000121";
    /// Card number: 18 to 20 digits, the last a check digit (Luhn) where there are 19 or 20; vendors use letters A to F.
    Iccid: "^[0-9]{6}[0-9A-Fa-f]{11,13}[0-9A-Ea-e]$", "8949001234567890128";
    /// Subscriber: 14 or 15 digits.
    Imsi: "^[0-9]{14,15}$", "001010123456789";
    /// Telephone number in international form, with or without `+`.
    Msisdn: "^\\+?[0-9]{3,15}$", "447797704848";
    /// Id of a write.
    WriteId: "^wrt_[0-9A-Fa-f]{32}$", "wrt_0190a6b2c1d27e3f8a4b5c6d7e8f9a0b";
    /// Id of a card.
    CardId: "^crd_[0-9A-Fa-f]{32}$", "crd_0190a6b2c1d27e3f8a4b5c6d7e8f9a0c";
    /// Id of an API key.
    KeyId: "^key_[0-9A-Fa-f]{16}$", "key_0123456789abcdef";
    /// Id of an endpoint.
    EndpointId: "^[A-Za-z0-9._-]{1,64}$", "end_0123456789abcdef";
    /// A place in a list.
    Place: "^[0-9]{1,19}$", "1855425871872000017";
    /// A place in the list of stray messages.
    StrayPlace: "^0e([2-7][0-9a-f])+00[0-9a-f]{32}$",
        "0e34343737000000019a0b1c2d3e0123456789abcdef";
    /// A card by its id, EID or ICCID.
    CardRef: "^(crd_[0-9A-Fa-f]{32}|eid:[0-9]{32}|iccid:[0-9]{6}[0-9A-Fa-f]{11,13}[0-9A-Ea-e])$",
        "eid:89034011560010000000000000000121";
    /// Octets in hexadecimal digits.
    Hex: "^([0-9A-Fa-f]{2})*$", "9000";
}

/// Where a write stands. The last six are its ends.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "names for the document")]
pub(super) enum WriteState {
    /// No card is known for the device yet.
    Waiting,
    /// The card is known; waits for its turn.
    Queued,
    /// The packet is made; nothing has been handed out.
    Sealed,
    /// Handed to a link.
    Sent,
    /// Handed to the business platform, which brings it to the card.
    OnSite,
    /// No answer that decides; a poll asks the card.
    Unknown,
    /// The card has written; not yet proved in effect.
    Written,
    /// The card has proved that it is in effect.
    Effective,
    /// The card or the SMSC refused it.
    Failed,
    /// The card had no service under the new subscription and went back.
    RolledBack,
    /// Withdrawn before the card took it.
    Cancelled,
    /// Its deadline passed before the card took it.
    Expired,
    /// Nobody knows, and asking was given up.
    Unresolved,
}

/// How packets of a write reach the card.
#[derive(Debug, ToSchema)]
#[schema(rename_all = "snake_case")]
#[allow(dead_code, reason = "names for the document")]
pub(super) enum Bearer {
    /// Over a link, as short messages.
    Sms,
    /// Through the business platform, on site.
    Relay,
}

/// The names of the states, as errors list them.
pub(super) fn state_names() -> String {
    State::NAMES.map(|(_, name)| name).join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use utoipa::PartialSchema;

    use super::*;
    use crate::card;

    fn names(schema: utoipa::openapi::RefOr<utoipa::openapi::Schema>) -> Vec<String> {
        let schema = serde_json::to_value(schema).unwrap();
        let named = |value: &Value| value.as_str().map(str::to_owned);
        schema["enum"].as_array().unwrap().iter().filter_map(named).collect()
    }

    #[test]
    fn the_document_has_every_name() {
        let mut states = names(WriteState::schema());
        let mut known = State::NAMES.map(|(_, name)| name.to_owned());
        states.sort();
        known.sort();
        assert_eq!(states, known);
        assert_eq!(names(Bearer::schema()), [card::Bearer::Sms, card::Bearer::Relay].map(card::Bearer::name));
    }
}
