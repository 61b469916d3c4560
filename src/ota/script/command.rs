//! Scripts: the commands for the card (TS 102 226 §5.1.1, §5.2.1).

use std::fmt;

use super::{END_OF_CONTENTS, Format, INDEFINITE, ScriptError, open_template, tag, template};
use crate::ota::apdu::{Command, p3_is_le};
use crate::ota::comprehension_tlv::{self, TlvError, command, device, put_ber, read_ber};

/// What an expanded script has besides its commands.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ScriptOptions {
    /// The script's place in a chain of scripts; the first object.
    pub chaining: Option<Chaining>,
    /// What the card does when a later command fails.
    pub error_action: Option<Action>,
    /// What the card does besides the commands: [`Action::SessionIndication`] before them, others after them.
    pub immediate_actions: Vec<Action>,
}

impl ScriptOptions {
    /// Objects that stand before the commands.
    pub(super) fn objects_before(&self) -> usize {
        let indications = self.immediate_actions.iter().filter(|action| action.is_indication()).count();
        usize::from(self.chaining.is_some()) + usize::from(self.error_action.is_some()) + indications
    }

    /// All objects but the commands.
    pub(super) fn objects(&self) -> usize {
        let others = self.immediate_actions.iter().filter(|action| !action.is_indication()).count();
        self.objects_before() + others
    }
}

/// The place of a script in a chain: the session on the card (what is selected, what is verified) lives on from one script to
/// the next (TS 102 226 §5.2.1.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chaining {
    /// First script; the card forgets the chain when it is reset.
    FirstDeleteOnReset,
    /// First script; the card keeps the chain over a reset.
    FirstKeep,
    /// A later script, with more to follow.
    Middle,
    /// The last script.
    Last,
}

impl Chaining {
    /// The one octet of the object's value.
    #[must_use]
    pub const fn octet(self) -> u8 {
        match self {
            Self::FirstDeleteOnReset => 0x01,
            Self::FirstKeep => 0x11,
            Self::Middle => 0x02,
            Self::Last => 0x03,
        }
    }

    /// The place that the value of a chaining object says.
    #[must_use]
    pub fn read(value: &[u8]) -> Option<Self> {
        let places = [Self::FirstDeleteOnReset, Self::FirstKeep, Self::Middle, Self::Last];
        places.into_iter().find(|place| value == [place.octet()])
    }
}

/// An immediate or error action (TS 102 226 §5.2.1.2, §5.2.1.3).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// A proactive command: its COMPREHENSION-TLV objects without the template D0. REFRESH, DISPLAY TEXT and PLAY TONE may
    /// be immediate, the last two error actions.
    Proactive(Vec<u8>),
    /// The proactive command in this record of EF.RMA, 01 to 7F.
    Record(u8),
    /// The script runs only when no proactive session does; the card waits or answers with a suspension error.
    SessionIndication,
    /// The card answers now, before what follows: a REFRESH could keep it from answering at all.
    EarlyResponse,
}

impl Action {
    /// REFRESH with this qualifier and no file list: 04 resets the card, 05 the application (TS 102 223 §8.6).
    #[must_use]
    pub fn refresh(qualifier: u8) -> Self {
        use comprehension_tlv::tag::{COMMAND_DETAILS, DEVICE_IDENTITIES};
        let mut objects = Vec::new();
        comprehension_tlv::put(&mut objects, COMMAND_DETAILS, true, &[0x01, command::REFRESH, qualifier]);
        comprehension_tlv::put(&mut objects, DEVICE_IDENTITIES, true, &[device::UICC, device::TERMINAL]);
        Self::Proactive(objects)
    }

    /// The value of the action's object.
    #[must_use]
    pub fn octets(&self) -> Vec<u8> {
        match self {
            Self::Proactive(objects) => objects.clone(),
            Self::Record(record) => vec![*record],
            Self::SessionIndication => vec![0x81],
            Self::EarlyResponse => vec![0x82],
        }
    }

    /// The action that the value of an object is; `None` for a reserved value.
    #[must_use]
    pub fn read(value: &[u8]) -> Option<Self> {
        match value {
            [0x81] => Some(Self::SessionIndication),
            [0x82] => Some(Self::EarlyResponse),
            [record @ 0x01..=0x7F] => Some(Self::Record(*record)),
            [] | [_] => None,
            objects => Some(Self::Proactive(objects.to_vec())),
        }
    }

    fn is_indication(&self) -> bool {
        *self == Self::SessionIndication
    }
}

/// The octets of a script. Each command is a C-APDU: in the compact format without Le behind data, and P3 = 00 where there
/// are no data at all.
///
/// # Errors
/// [`ScriptError::Empty`], [`ScriptError::Command`], [`ScriptError::Options`] (the compact format has none).
pub fn encode<C: AsRef<[u8]>>(
    format: Format,
    options: &ScriptOptions,
    commands: &[C],
) -> Result<Vec<u8>, ScriptError> {
    if commands.is_empty() {
        return Err(ScriptError::Empty);
    }
    if format == Format::Compact {
        if *options != ScriptOptions::default() {
            return Err(ScriptError::Options);
        }
        return concatenate(commands);
    }
    let mut objects = Vec::new();
    if let Some(chaining) = options.chaining {
        put_ber(&mut objects, tag::CHAINING, &[chaining.octet()]);
    }
    if let Some(action) = &options.error_action {
        put_ber(&mut objects, tag::ERROR_ACTION, &action.octets());
    }
    let (before, after): (Vec<_>, Vec<_>) =
        options.immediate_actions.iter().partition(|action| action.is_indication());
    for action in before {
        put_ber(&mut objects, tag::IMMEDIATE_ACTION, &action.octets());
    }
    for (command, apdu) in commands.iter().map(AsRef::as_ref).enumerate() {
        Command::parse(apdu).map_err(|_| ScriptError::Command { command, expected: "a short C-APDU" })?;
        put_ber(&mut objects, tag::C_APDU, apdu);
    }
    for action in after {
        put_ber(&mut objects, tag::IMMEDIATE_ACTION, &action.octets());
    }
    let mut script = Vec::new();
    if format == Format::ExpandedIndefinite {
        script.extend([template::SCRIPT_INDEFINITE, INDEFINITE]);
        script.extend(objects);
        script.extend(END_OF_CONTENTS);
    } else {
        put_ber(&mut script, template::SCRIPT, &objects);
    }
    Ok(script)
}

/// The commands of a compact script.
///
/// # Errors
/// [`ScriptError::Command`] where the octets end inside a command, [`ScriptError::Empty`].
pub fn decode_compact(data: &[u8]) -> Result<Vec<&[u8]>, ScriptError> {
    let mut commands = Vec::new();
    let mut rest = data;
    while !rest.is_empty() {
        let expected = "CLA, INS, P1, P2, P3 and the data that Lc announces";
        let cut = compact_len(rest).and_then(|len| rest.split_at_checked(len));
        let (command, after) = cut.ok_or(ScriptError::Command { command: commands.len(), expected })?;
        commands.push(command);
        rest = after;
    }
    if commands.is_empty() { Err(ScriptError::Empty) } else { Ok(commands) }
}

/// An expanded script taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpandedScript<'a> {
    /// With definite or indefinite length; the response has the same.
    pub format: Format,
    /// The objects up to the end, or to the first one that is malformed: a card executes these.
    pub objects: Vec<Object<'a>>,
    /// What is wrong behind these objects.
    pub bad_format: Option<BadFormat>,
}

/// An object of an expanded script, by its value. `Debug` leaves the value out, as files may be given keys.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Object<'a> {
    /// A command APDU.
    Command(&'a [u8]),
    /// See [`Action::read`].
    ImmediateAction(&'a [u8]),
    /// See [`Action::read`].
    ErrorAction(&'a [u8]),
    /// See [`Chaining::read`].
    Chaining(&'a [u8]),
}

impl fmt::Debug for Object<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, value) = match self {
            Self::Command(value) => ("Command", value),
            Self::ImmediateAction(value) => ("ImmediateAction", value),
            Self::ErrorAction(value) => ("ErrorAction", value),
            Self::Chaining(value) => ("Chaining", value),
        };
        write!(f, "{name}({} octets)", value.len())
    }
}

/// What a card finds wrong with the form of a script (TS 102 226 §5.2.2). Keeps every value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BadFormat(pub u8);

impl BadFormat {
    /// No object has this tag.
    pub const UNKNOWN_TAG: Self = Self(0x01);
    /// The length does not fit the object.
    pub const WRONG_LENGTH: Self = Self(0x02);
    /// There is no length.
    pub const LENGTH_NOT_FOUND: Self = Self(0x03);
}

/// The objects of an expanded script.
///
/// # Errors
/// [`ScriptError`] where the template itself is malformed; what is wrong inside is in [`ExpandedScript::bad_format`].
pub fn decode_expanded(data: &[u8]) -> Result<ExpandedScript<'_>, ScriptError> {
    let template = open_template(data, [template::SCRIPT, template::SCRIPT_INDEFINITE], "AA or AE")?;
    let format = if template.indefinite { Format::ExpandedIndefinite } else { Format::Expanded };
    let mut script = ExpandedScript { format, objects: Vec::new(), bad_format: None };
    let mut rest = template.objects;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(&END_OF_CONTENTS).filter(|_| template.indefinite) {
            return if after.is_empty() { Ok(script) } else { Err(ScriptError::Trailing(after.len())) };
        }
        match read_object(rest) {
            Ok((object, after)) => {
                script.objects.push(object);
                rest = after;
            }
            Err(bad_format) => {
                script.bad_format = Some(bad_format);
                return Ok(script);
            }
        }
    }
    if template.indefinite { Err(ScriptError::EndOfContents) } else { Ok(script) }
}

fn read_object<'a>(octets: &'a [u8]) -> Result<(Object<'a>, &'a [u8]), BadFormat> {
    let object: fn(&'a [u8]) -> Object<'a> = match octets.first() {
        Some(&tag) if tag & !tag::FLAG == tag::C_APDU => Object::Command,
        Some(&tag::IMMEDIATE_ACTION) => Object::ImmediateAction,
        Some(&tag::ERROR_ACTION) => Object::ErrorAction,
        Some(&tag::CHAINING) => Object::Chaining,
        _ => return Err(BadFormat::UNKNOWN_TAG),
    };
    match read_ber(octets) {
        Ok((tlv, after)) => Ok((object(tlv.value), after)),
        Err(TlvError::Value { .. }) => Err(BadFormat::WRONG_LENGTH),
        Err(_) => Err(BadFormat::LENGTH_NOT_FOUND),
    }
}

fn concatenate<C: AsRef<[u8]>>(commands: &[C]) -> Result<Vec<u8>, ScriptError> {
    let mut script = Vec::new();
    for (command, apdu) in commands.iter().map(AsRef::as_ref).enumerate() {
        if compact_len(apdu) != Some(apdu.len()) {
            let expected = "P3, then as many octets as it announces if it is Lc, and no Le behind data";
            return Err(ScriptError::Command { command, expected });
        }
        script.extend_from_slice(apdu);
    }
    Ok(script)
}

/// Octets that the first command of a compact script has, by its header.
fn compact_len(octets: &[u8]) -> Option<usize> {
    let [_class, instruction, p1, p2, p3] = *octets.first_chunk()?;
    Some(if p3_is_le(instruction, p1, p2) { 5 } else { 5 + usize::from(p3) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::ota::apdu::{get_response, read_binary, select, update_binary};

    fn update_imsi() -> Vec<Vec<u8>> {
        vec![select(0x6F07), update_binary(0, &[8; 9]).unwrap(), read_binary(0, 9)]
    }

    fn none() -> ScriptOptions {
        ScriptOptions::default()
    }

    #[test]
    fn a_compact_script_is_its_commands() {
        let commands = update_imsi();
        let script = encode(Format::Compact, &none(), &commands).unwrap();
        assert_eq!(hex::encode(&script), "00a40004026f0700d600000908080808080808080800b0000009");
        assert_eq!(decode_compact(&script).unwrap(), commands);
        assert_eq!(Format::of_script(&script), Format::Compact);
        // GET STATUS has data, STATUS has none.
        let both = hex::decode("80f24002024f0080f2000000").unwrap();
        assert_eq!(decode_compact(&both).unwrap().iter().map(|apdu| apdu.len()).collect::<Vec<_>>(), [7, 5]);
    }

    #[test]
    fn what_a_compact_script_cannot_hold_is_named() {
        let select_with_le = [select(0x6F07), vec![0]].concat();
        for wrong in [select_with_le, vec![0, 0xB0, 0, 0], vec![0, 0xD6, 0, 0, 3, 1]] {
            let error = encode(Format::Compact, &none(), &[get_response(0), wrong]).unwrap_err();
            assert!(matches!(error, ScriptError::Command { command: 1, .. }), "{error}");
        }
        let chained = ScriptOptions { chaining: Some(Chaining::Last), ..none() };
        assert_eq!(encode(Format::Compact, &chained, &update_imsi()), Err(ScriptError::Options));
        assert_eq!(encode::<Vec<u8>>(Format::Expanded, &none(), &[]), Err(ScriptError::Empty));
        let script = encode(Format::Compact, &none(), &update_imsi()).unwrap();
        for len in 1..script.len() {
            let cut = decode_compact(&script[..len]);
            assert!(matches!(len, 7 | 21) == cut.is_ok(), "{len}: {cut:?}");
        }
        assert_eq!(decode_compact(&[]), Err(ScriptError::Empty));
    }

    #[test]
    fn options_stand_before_and_behind_the_commands() {
        let options = ScriptOptions {
            chaining: Some(Chaining::FirstKeep),
            error_action: Some(Action::Record(5)),
            immediate_actions: vec![Action::EarlyResponse, Action::refresh(4), Action::SessionIndication],
        };
        let script = encode(Format::Expanded, &options, &[select(0x6F07)]).unwrap();
        let expected =
            "aa20 830111 820105 810181 220700a40004026f07 810182 8109 8103010104 82028182".replace(' ', "");
        assert_eq!(hex::encode(&script), expected);
        let decoded = decode_expanded(&script).unwrap();
        assert_eq!((decoded.format, decoded.bad_format, decoded.objects.len()), (Format::Expanded, None, 6));
        assert_eq!((options.objects_before(), options.objects()), (3, 5));
        for object in decoded.objects {
            match object {
                Object::Command(apdu) => assert_eq!(apdu, select(0x6F07)),
                Object::ImmediateAction(value) => {
                    assert!(options.immediate_actions.contains(&Action::read(value).unwrap()));
                }
                Object::ErrorAction(value) => assert_eq!(Action::read(value), options.error_action),
                Object::Chaining(value) => assert_eq!(Chaining::read(value), options.chaining),
            }
        }
        assert_eq!((Action::read(&[0x83]), Action::read(&[]), Chaining::read(&[4])), (None, None, None));
    }

    #[test]
    fn a_card_sees_where_the_format_goes_wrong() {
        let bad = |objects: &str| {
            let objects = hex::decode(objects).unwrap();
            let script = [&[0xAA, objects.len() as u8], &objects[..]].concat();
            let script = decode_expanded(&script).unwrap();
            (script.objects.len(), script.bad_format)
        };
        assert_eq!(bad("220400a40004990100"), (1, Some(BadFormat::UNKNOWN_TAG)));
        assert_eq!(bad("220400a400042209"), (1, Some(BadFormat::WRONG_LENGTH)));
        assert_eq!(bad("220400a4000422"), (1, Some(BadFormat::LENGTH_NOT_FOUND)));
        assert_eq!(bad("2280"), (0, Some(BadFormat::LENGTH_NOT_FOUND)));
        assert_eq!(bad("a20400a40004"), (1, None), "with the comprehension flag");
    }

    #[test]
    fn malformed_templates_are_named() {
        let script = encode(Format::ExpandedIndefinite, &none(), &update_imsi()).unwrap();
        assert_eq!(decode_expanded(&script[..script.len() - 2]), Err(ScriptError::EndOfContents));
        assert_eq!(decode_expanded(&[&script[..], &[0]].concat()), Err(ScriptError::Trailing(1)));
        assert_eq!(decode_expanded(&[0xAE, 0x00]), Err(ScriptError::Tlv(TlvError::Length(0))));
        assert_eq!(decode_expanded(&[0xAA, 0x80]), Err(ScriptError::Tlv(TlvError::Length(0x80))));
        assert_eq!(decode_expanded(&[0xAA, 0x00, 0x01]), Err(ScriptError::Trailing(1)));
        for other in [&[][..], &[0x00], &[0xAB, 0x00]] {
            assert_eq!(decode_expanded(other), Err(ScriptError::Template("AA or AE")));
        }
    }

    proptest! {
        #[test]
        fn every_format_brings_the_commands_back(
            data in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..256), 1..20),
        ) {
            let commands: Vec<_> = data.iter().map(|data| update_binary(0, data).unwrap()).collect();
            let compact = encode(Format::Compact, &none(), &commands).unwrap();
            prop_assert_eq!(decode_compact(&compact).unwrap(), commands.clone());
            for format in [Format::Expanded, Format::ExpandedIndefinite] {
                let script = encode(format, &none(), &commands).unwrap();
                prop_assert_eq!(Format::of_script(&script), format);
                let decoded = decode_expanded(&script).unwrap();
                let objects: Vec<_> = commands.iter().map(|apdu| Object::Command(apdu)).collect();
                prop_assert_eq!(decoded, ExpandedScript { format, objects, bad_format: None });
            }
        }

        #[test]
        fn no_octets_panic(mut octets in prop::collection::vec(any::<u8>(), 0..200), first in 0xAAu8..=0xAF) {
            let _ = decode_compact(&octets);
            octets.insert(0, first);
            let _ = decode_expanded(&octets);
        }
    }
}
