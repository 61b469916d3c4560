//! The types of `airwrite.asn1` as rasn reads and writes them. They stay in this module: rasn's prelude has names that
//! other crates have too. Field names are those of the ASN.1 text in snake case.

use rasn::prelude::*;

use super::message;

pub(super) type Octets<const N: usize> = FixedOctetString<N>;

/// Parts of `ext`: any TLV, kept until the message is read and then dropped.
pub(super) type Extensions = SequenceOf<Any>;

#[derive(AsnType, Decode, Encode)]
#[rasn(choice)]
pub(super) enum Message {
    BindingRequest(BindingRequest),
    BindingResponse(BindingResponse),
    WriteCard(WriteCard),
    WriteResult(WriteResult),
    ResultAck(ResultAck),
    Poll(Poll),
    PollAnswer(PollAnswer),
}

#[derive(AsnType, Decode, Encode)]
#[rasn(tag(application, 1))]
pub(super) struct BindingRequest {
    #[rasn(tag(0))]
    pub(super) ver: u8,
    #[rasn(tag(1))]
    pub(super) tid: Octets<4>,
    #[rasn(tag(2))]
    pub(super) imei: Octets<8>,
    #[rasn(tag(3))]
    pub(super) eid: Octets<16>,
    #[rasn(tag(4))]
    pub(super) imsi: Option<Octets<9>>,
    #[rasn(tag(8))]
    pub(super) trigger: Trigger,
    #[rasn(tag(9))]
    pub(super) app_version: u16,
    #[rasn(tag(30))]
    pub(super) ext: Option<Extensions>,
}

#[derive(AsnType, Decode, Encode)]
#[rasn(tag(application, 2))]
pub(super) struct BindingResponse {
    #[rasn(tag(0))]
    pub(super) ver: u8,
    #[rasn(tag(1))]
    pub(super) tid: Octets<4>,
    #[rasn(tag(10))]
    pub(super) result: BindingResult,
    #[rasn(tag(30))]
    pub(super) ext: Option<Extensions>,
}

#[derive(AsnType, Decode, Encode)]
#[rasn(tag(application, 3))]
pub(super) struct WriteCard {
    #[rasn(tag(0))]
    pub(super) ver: u8,
    #[rasn(tag(1))]
    pub(super) tid: Octets<4>,
    #[rasn(tag(2))]
    pub(super) imei: Octets<8>,
    #[rasn(tag(3))]
    pub(super) eid: Octets<16>,
    #[rasn(tag(5))]
    pub(super) iccid: Option<Octets<10>>,
    #[rasn(tag(4))]
    pub(super) imsi: Octets<9>,
    #[rasn(tag(6), size("3..=9"))]
    pub(super) msisdn: OctetString,
    #[rasn(tag(7), size("3..=9"))]
    pub(super) smsc: Option<OctetString>,
    #[rasn(tag(11))]
    pub(super) refresh: Refresh,
    #[rasn(tag(12))]
    pub(super) rollback: bool,
    #[rasn(tag(13))]
    pub(super) binding_ack: Option<BindingAck>,
    #[rasn(tag(14), size("1..=256"))]
    pub(super) key_block: Option<OctetString>,
    #[rasn(tag(30))]
    pub(super) ext: Option<Extensions>,
}

#[derive(AsnType, Decode, Encode)]
#[rasn(tag(application, 4))]
pub(super) struct WriteResult {
    #[rasn(tag(0))]
    pub(super) ver: u8,
    #[rasn(tag(1))]
    pub(super) tid: Octets<4>,
    #[rasn(tag(3))]
    pub(super) eid: Octets<16>,
    #[rasn(tag(4))]
    pub(super) imsi: Option<Octets<9>>,
    #[rasn(tag(2))]
    pub(super) imei: Octets<8>,
    #[rasn(tag(15))]
    pub(super) status: WriteStatus,
    #[rasn(tag(16))]
    pub(super) detail: u8,
    #[rasn(tag(17))]
    pub(super) mt_counter: Octets<5>,
    #[rasn(tag(30))]
    pub(super) ext: Option<Extensions>,
}

#[derive(AsnType, Decode, Encode)]
#[rasn(tag(application, 5))]
pub(super) struct ResultAck {
    #[rasn(tag(0))]
    pub(super) ver: u8,
    #[rasn(tag(1))]
    pub(super) tid: Octets<4>,
    #[rasn(tag(15))]
    pub(super) status: WriteStatus,
    #[rasn(tag(30))]
    pub(super) ext: Option<Extensions>,
}

#[derive(AsnType, Decode, Encode)]
#[rasn(tag(application, 6))]
pub(super) struct Poll {
    #[rasn(tag(0))]
    pub(super) ver: u8,
    #[rasn(tag(1))]
    pub(super) tid: Octets<4>,
    #[rasn(tag(18))]
    pub(super) what: PollWhat,
    #[rasn(tag(30))]
    pub(super) ext: Option<Extensions>,
}

#[derive(AsnType, Decode, Encode)]
#[rasn(tag(application, 7))]
pub(super) struct PollAnswer {
    #[rasn(tag(0))]
    pub(super) ver: u8,
    #[rasn(tag(1))]
    pub(super) tid: Octets<4>,
    #[rasn(tag(3))]
    pub(super) eid: Octets<16>,
    #[rasn(tag(2))]
    pub(super) imei: Octets<8>,
    #[rasn(tag(4))]
    pub(super) imsi: Option<Octets<9>>,
    #[rasn(tag(19))]
    pub(super) binding_flag: bool,
    #[rasn(tag(20))]
    pub(super) last_tid: Octets<4>,
    #[rasn(tag(21))]
    pub(super) last_state: LastState,
    #[rasn(tag(22))]
    pub(super) mo_counter: Octets<5>,
    #[rasn(tag(30))]
    pub(super) ext: Option<Extensions>,
}

#[derive(AsnType, Decode, Encode)]
pub(super) struct BindingAck {
    #[rasn(tag(1))]
    pub(super) tid: Octets<4>,
    #[rasn(tag(10))]
    pub(super) result: BindingResult,
}

/// An ENUMERATED with the names of the platform's type of the same name. Values are taken as `tt`: behind another kind
/// of fragment rasn does not see them and counts from 0.
macro_rules! enumerated {
    ($name:ident { $($variant:ident = $value:tt),+ }) => {
        #[derive(AsnType, Decode, Encode, Debug, Clone, Copy, PartialEq, Eq)]
        #[rasn(enumerated)]
        pub(super) enum $name {
            $($variant = $value),+
        }

        impl From<message::$name> for $name {
            fn from(value: message::$name) -> Self {
                match value {
                    $(message::$name::$variant => Self::$variant),+
                }
            }
        }

        impl From<$name> for message::$name {
            fn from(value: $name) -> Self {
                match value {
                    $($name::$variant => Self::$variant),+
                }
            }
        }
    };
}

enumerated!(Trigger { Boot = 0, ImeiChanged = 1, Retry = 2, Polled = 3 });
enumerated!(BindingResult { Saved = 0, Held = 1, Rejected = 2 });
enumerated!(Refresh { UiccReset = 4, NaaApplicationReset = 5 });
enumerated!(WriteStatus { Accepted = 0, Confirmed = 1, RolledBack = 2, Refused = 3 });
enumerated!(PollWhat { State = 0 });
enumerated!(LastState { None = 0, Accepted = 1, Confirmed = 2, RolledBack = 3, Refused = 4 });

/// Holds the types above against the text of `airwrite.asn1`: every message, field, tag and enumeration value.
#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use rasn::types::{Constructed, fields::FieldPresence};

    use super::*;
    use crate::applet::{ASN1, detail};

    /// One line of a SEQUENCE: name, tag, type, whether it may be absent.
    type Line = (String, u32, String, bool);

    #[derive(Debug, PartialEq)]
    enum Definition {
        Sequence { application: Option<u32>, fields: Vec<Line> },
        Choice(Vec<(String, String)>),
        Enumerated(Vec<(String, isize)>),
        Other(String),
    }

    /// Reads as much ASN.1 as the module uses.
    fn definitions() -> BTreeMap<String, Definition> {
        let text: String = ASN1
            .lines()
            .map(|line| line.split("--").next().unwrap_or("").trim_end())
            .fold(String::new(), |text, line| text + line + "\n");
        let (_, body) = text.split_once("BEGIN").unwrap();
        let (body, _) = body.split_once("\nEND").unwrap();
        let mut heads: Vec<(String, String)> = Vec::new();
        for line in body.lines() {
            match line.split_once("::=") {
                Some((name, right)) => heads.push((name.trim().to_owned(), right.trim().to_owned())),
                None => heads.iter_mut().last().into_iter().for_each(|(_, right)| {
                    right.push(' ');
                    right.push_str(line.trim());
                }),
            }
        }
        heads.into_iter().map(|(name, right)| (name, definition(right.trim()))).collect()
    }

    fn definition(right: &str) -> Definition {
        let Some((head, rest)) = right.split_once('{') else { return Definition::Other(right.to_owned()) };
        let items = rest.trim_end().trim_end_matches('}').split(',').map(str::trim);
        let inside = |text: &str, open: char, close: char| {
            text.split_once(open).unwrap().1.split_once(close).unwrap().0.trim().to_owned()
        };
        if head.contains("SEQUENCE") {
            let application = head.contains("APPLICATION").then(|| inside(head, '[', ']'));
            let application = application.map(|tag| tag.replace("APPLICATION ", "").parse().unwrap());
            let field = |item: &str| {
                let name = item.split_whitespace().next().unwrap().to_owned();
                let tag = inside(item, '[', ']').parse().unwrap();
                let kind = item.split_once(']').unwrap().1.trim();
                let optional = kind.ends_with(" OPTIONAL");
                (name, tag, kind.trim_end_matches(" OPTIONAL").to_owned(), optional)
            };
            Definition::Sequence { application, fields: items.map(field).collect() }
        } else if head.contains("CHOICE") {
            let alternative = |item: &str| {
                let (name, kind) = item.split_once(' ').unwrap();
                (name.to_owned(), kind.trim().to_owned())
            };
            Definition::Choice(items.map(alternative).collect())
        } else {
            let value = |item: &str| {
                (item.split('(').next().unwrap().to_owned(), inside(item, '(', ')').parse().unwrap())
            };
            Definition::Enumerated(items.map(value).collect())
        }
    }

    fn camel_case(snake_case: &str) -> String {
        let mut words = snake_case.split('_');
        let first = words.next().unwrap().to_owned();
        words.fold(first, |text, word| text + &word[..1].to_uppercase() + &word[1..])
    }

    fn check_sequence<const N: usize, T: AsnType + Constructed<N, 0>>(name: &str, number: Option<u32>) {
        let definitions = definitions();
        let Some(Definition::Sequence { application, fields }) = definitions.get(name) else {
            panic!("{name} is a SEQUENCE of airwrite.asn1");
        };
        assert_eq!(*application, number, "{name}");
        if let Some(number) = number {
            assert_eq!(T::TAG, Tag::new(Class::Application, number), "{name}");
        }
        let ours: Vec<(String, Tag, bool)> = T::FIELDS
            .iter()
            .map(|field| (camel_case(field.name), field.tag, field.presence == FieldPresence::Optional))
            .collect();
        let theirs: Vec<(String, Tag, bool)> = fields
            .iter()
            .map(|(name, tag, _, optional)| (name.clone(), Tag::new(Class::Context, *tag), *optional))
            .collect();
        assert_eq!(ours, theirs, "{name}");
    }

    #[test]
    fn every_sequence_agrees_with_the_published_text() {
        check_sequence::<_, BindingRequest>("BindingRequest", Some(1));
        check_sequence::<_, BindingResponse>("BindingResponse", Some(2));
        check_sequence::<_, WriteCard>("WriteCard", Some(3));
        check_sequence::<_, WriteResult>("WriteResult", Some(4));
        check_sequence::<_, ResultAck>("ResultAck", Some(5));
        check_sequence::<_, Poll>("Poll", Some(6));
        check_sequence::<_, PollAnswer>("PollAnswer", Some(7));
        check_sequence::<_, BindingAck>("BindingAck", None);
        let sequences = definitions();
        let sequences = sequences.values().filter(|one| matches!(one, Definition::Sequence { .. }));
        assert_eq!(sequences.count(), 8, "the text has no other");
    }

    fn check_enumerated<T: Enumerated>(name: &str) {
        let ours: Vec<(String, isize)> = T::IDENTIFIERS
            .iter()
            .zip(T::DISCRIMINANTS)
            .map(|(identifier, (_, value))| (identifier[..1].to_lowercase() + &identifier[1..], *value))
            .collect();
        assert_eq!(definitions().get(name), Some(&Definition::Enumerated(ours)), "{name}");
    }

    #[test]
    fn every_enumeration_agrees_with_the_published_text() {
        check_enumerated::<Trigger>("Trigger");
        check_enumerated::<BindingResult>("BindingResult");
        check_enumerated::<Refresh>("Refresh");
        check_enumerated::<WriteStatus>("WriteStatus");
        check_enumerated::<PollWhat>("PollWhat");
        check_enumerated::<LastState>("LastState");
        let enumerations = definitions();
        let enumerations = enumerations.values().filter(|one| matches!(one, Definition::Enumerated(_)));
        assert_eq!(enumerations.count(), 7, "the text has no other but the details");
    }

    #[test]
    fn the_details_are_the_named_numbers_of_the_published_text() {
        let details = [
            ("none", detail::NONE),
            ("otherEid", detail::OTHER_EID),
            ("otherImei", detail::OTHER_IMEI),
            ("tidTooLow", detail::TID_TOO_LOW),
            ("busy", detail::BUSY),
            ("keyBlock", detail::KEY_BLOCK),
            ("noService", detail::NO_SERVICE),
        ];
        let details = details.map(|(name, number)| (name.to_owned(), isize::from(number)));
        assert_eq!(definitions().get("Detail"), Some(&Definition::Enumerated(details.into())));
    }

    #[test]
    fn a_tag_means_one_field_with_one_type_in_every_message() {
        let mut known: BTreeMap<u32, (String, String)> = BTreeMap::new();
        for definition in definitions().into_values() {
            let Definition::Sequence { fields, .. } = definition else { continue };
            for (name, tag, kind, _) in fields {
                let field = known.entry(tag).or_insert_with(|| (name.clone(), kind.clone()));
                assert_eq!(*field, (name, kind), "tag {tag}");
            }
        }
        assert_eq!(known.len(), 24);
    }

    #[test]
    fn the_sizes_in_the_text_are_those_of_the_types() {
        let definitions = definitions();
        let octets = |size: &str| Definition::Other(format!("OCTET STRING (SIZE ({size}))"));
        for (name, size) in [
            ("Tid", "4"),
            ("Counter", "5"),
            ("Imei", "8"),
            ("Eid", "16"),
            ("Iccid", "10"),
            ("Imsi", "9"),
            ("Number", "3..9"),
        ] {
            assert_eq!(definitions.get(name), Some(&octets(size)), "{name}");
        }
        assert_eq!(definitions.get("Extensions"), Some(&Definition::Other("SEQUENCE OF ANY".to_owned())));
        let Some(Definition::Choice(alternatives)) = definitions.get("Message") else { panic!("a CHOICE") };
        let kinds: Vec<&str> = alternatives.iter().map(|(_, kind)| kind.as_str()).collect();
        let expected = [
            "BindingRequest",
            "BindingResponse",
            "WriteCard",
            "WriteResult",
            "ResultAck",
            "Poll",
            "PollAnswer",
        ];
        assert_eq!(kinds, expected);
    }
}
