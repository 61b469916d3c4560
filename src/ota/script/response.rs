//! What a card answers to a script (TS 102 226 §5.1.2, §5.2.2).

use std::fmt;

use super::{
    BadFormat, END_OF_CONTENTS, Format, INDEFINITE, ScriptError, number_octets, open_template, tag, template,
};
use crate::ota::apdu::StatusWord;
use crate::ota::comprehension_tlv::{put_ber, read_ber};

/// The answer to a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScriptResponse {
    /// How it is coded.
    pub format: Format,
    /// How many were executed: commands in the compact format, objects of the script (actions and chaining as well) in the
    /// expanded one. A command that failed counts. `None` with indefinite length.
    pub executed: Option<u32>,
    /// What commands answered: in the compact format only the last one, in the expanded format those that asked for data and
    /// the last one, or all of them.
    pub responses: Vec<ResponseApdu>,
    /// Why the card did not take the script, or not all of it.
    pub problem: Option<Problem>,
}

/// A response APDU: data and SW1 SW2. `Debug` leaves the data out, as files may hold keys.
#[derive(Clone, PartialEq, Eq)]
pub struct ResponseApdu {
    /// Data of the response.
    pub data: Vec<u8>,
    /// How the command ended.
    pub status: StatusWord,
}

impl fmt::Debug for ResponseApdu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ResponseApdu({} octets, {})", self.data.len(), self.status)
    }
}

/// Why a card did not take a script, or not all of it: an expanded response says it instead of the last R-APDU. Keeps every
/// value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Problem {
    /// An object is malformed.
    BadFormat(BadFormat),
    /// An immediate action was not possible: 01 suspension error.
    ImmediateAction(u8),
    /// The chain was not possible: 01 no previous script, 02 not supported, 03 unable to process.
    Chaining(u8),
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadFormat(BadFormat::UNKNOWN_TAG) => f.write_str("bad format: unknown tag"),
            Self::BadFormat(BadFormat::WRONG_LENGTH) => f.write_str("bad format: wrong length"),
            Self::BadFormat(BadFormat::LENGTH_NOT_FOUND) => f.write_str("bad format: length not found"),
            Self::BadFormat(BadFormat(value)) => write!(f, "bad format {value:02X}"),
            Self::ImmediateAction(0x01) => f.write_str("immediate action: suspension error"),
            Self::ImmediateAction(value) => write!(f, "immediate action: error {value:02X}"),
            Self::Chaining(0x01) => f.write_str("script chaining: no previous script"),
            Self::Chaining(0x02) => f.write_str("script chaining: not supported"),
            Self::Chaining(0x03) => f.write_str("script chaining: unable to process"),
            Self::Chaining(value) => write!(f, "script chaining: error {value:02X}"),
        }
    }
}

/// Reads the answer to a script, in whatever format it is: AB or AF begins an expanded one, unless the octet behind it can
/// only be SW1 (9x) and so AB or AF a number of commands. Objects of an expanded answer that are not known are passed over.
///
/// # Errors
/// [`ScriptError`] names the object.
pub fn decode_response(data: &[u8]) -> Result<ScriptResponse, ScriptError> {
    match data {
        [template::RESPONSE | template::RESPONSE_INDEFINITE, rest @ ..]
            if rest.first().is_none_or(|sw1| sw1 & 0xF0 != 0x90) =>
        {
            expanded(data)
        }
        _ => compact(data),
    }
}

impl ScriptResponse {
    /// The octets of the answer. A compact one has the last of the responses, and a number that one octet cannot hold as FF.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut objects = Vec::new();
        match self.format {
            Format::Compact => return self.encode_compact(),
            Format::Expanded => {
                let executed = number_octets(self.executed.unwrap_or_default());
                put_ber(&mut objects, tag::NUMBER_EXECUTED, &executed);
            }
            Format::ExpandedIndefinite => objects.extend([template::RESPONSE_INDEFINITE, INDEFINITE]),
        }
        for response in &self.responses {
            let status = response.status.0.to_be_bytes();
            put_ber(&mut objects, tag::R_APDU, &[&response.data[..], &status].concat());
        }
        match self.problem {
            Some(Problem::BadFormat(BadFormat(value))) => put_ber(&mut objects, tag::BAD_FORMAT, &[value]),
            Some(Problem::ImmediateAction(value)) => put_ber(&mut objects, tag::IMMEDIATE_ACTION, &[value]),
            Some(Problem::Chaining(value)) => put_ber(&mut objects, tag::CHAINING, &[value]),
            None => {}
        }
        if self.format == Format::ExpandedIndefinite {
            objects.extend(END_OF_CONTENTS);
            return objects;
        }
        let mut response = Vec::new();
        put_ber(&mut response, template::RESPONSE, &objects);
        response
    }

    fn encode_compact(&self) -> Vec<u8> {
        let mut octets = vec![u8::try_from(self.executed.unwrap_or_default()).unwrap_or(u8::MAX)];
        if let Some(last) = self.responses.last() {
            octets.extend(last.status.0.to_be_bytes());
            octets.extend_from_slice(&last.data);
        }
        octets
    }
}

fn compact(data: &[u8]) -> Result<ScriptResponse, ScriptError> {
    let (executed, responses) = match data {
        // Nothing executed, so there is no last status word.
        [0] => (0, Vec::new()),
        [executed, sw1, sw2, data @ ..] => {
            let status = StatusWord(u16::from_be_bytes([*sw1, *sw2]));
            (u32::from(*executed), vec![ResponseApdu { data: data.to_vec(), status }])
        }
        _ => return Err(ScriptError::Response(data.len())),
    };
    Ok(ScriptResponse { format: Format::Compact, executed: Some(executed), responses, problem: None })
}

fn expanded(data: &[u8]) -> Result<ScriptResponse, ScriptError> {
    let template = open_template(data, [template::RESPONSE, template::RESPONSE_INDEFINITE], "AB or AF")?;
    let format = if template.indefinite { Format::ExpandedIndefinite } else { Format::Expanded };
    let mut response = ScriptResponse { format, executed: None, responses: Vec::new(), problem: None };
    let mut rest = template.objects;
    while !rest.is_empty() {
        if let Some(after) = rest.strip_prefix(&END_OF_CONTENTS).filter(|_| template.indefinite) {
            return if after.is_empty() { Ok(response) } else { Err(ScriptError::Trailing(after.len())) };
        }
        let (object, after) = read_ber(rest)?;
        response.take(object.tag, object.value)?;
        rest = after;
    }
    if template.indefinite { Err(ScriptError::EndOfContents) } else { Ok(response) }
}

impl ScriptResponse {
    fn take(&mut self, tag: u8, value: &[u8]) -> Result<(), ScriptError> {
        let wrong = |expected| ScriptError::Object { tag, expected, found: value.len() };
        let one = || value.first().copied().filter(|_| value.len() == 1).ok_or(wrong("1 octet"));
        match tag {
            tag::NUMBER_EXECUTED => {
                let number = (1..=4)
                    .contains(&value.len())
                    .then(|| value.iter().fold(0, |number: u32, octet| number << 8 | u32::from(*octet)));
                self.executed = Some(number.ok_or(wrong("1 to 4 octets"))?);
            }
            tag::IMMEDIATE_ACTION => self.problem = Some(Problem::ImmediateAction(one()?)),
            tag::CHAINING => self.problem = Some(Problem::Chaining(one()?)),
            tag::BAD_FORMAT => self.problem = Some(Problem::BadFormat(BadFormat(one()?))),
            _ if tag & !tag::FLAG == tag::R_APDU => {
                let (data, status) = value.split_last_chunk().ok_or(wrong("2 octets or more"))?;
                let status = StatusWord(u16::from_be_bytes(*status));
                self.responses.push(ResponseApdu { data: data.to_vec(), status });
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Reads the answer and sees that it is written as it was.
    fn decode(octets: &str) -> ScriptResponse {
        let octets = hex::decode(octets).unwrap();
        let response = decode_response(&octets).unwrap();
        assert_eq!(response.encode(), octets);
        response
    }

    #[test]
    fn a_compact_answer_has_the_last_command() {
        let response = decode("029000080910100000000010");
        assert_eq!((response.format, response.executed), (Format::Compact, Some(2)));
        assert_eq!(response.responses[0].status, StatusWord::OK);
        assert_eq!(hex::encode(&response.responses[0].data), "080910100000000010");
        assert_eq!(format!("{:?}", response.responses[0]), "ResponseApdu(9 octets, 9000 normal ending)");
        assert_eq!((decode("00").executed, decode("00").responses.len()), (Some(0), 0));
        assert_eq!(decode("ab9000").executed, Some(171));
        for short in [&[][..], &[1], &[1, 0x90]] {
            assert_eq!(decode_response(short), Err(ScriptError::Response(short.len())));
        }
    }

    #[test]
    fn an_expanded_answer_has_one_for_each() {
        let response = decode("ab0d80010223046f21900023026a82");
        let expected = [
            ResponseApdu { data: vec![0x6F, 0x21], status: StatusWord(0x9000) },
            ResponseApdu { data: vec![], status: StatusWord(0x6A82) },
        ];
        assert_eq!((response.executed, response.responses), (Some(2), expected.to_vec()));
        let response = decode("af8023026d000000");
        assert_eq!((response.format, response.executed), (Format::ExpandedIndefinite, None));
        assert_eq!(response.responses[0].status, StatusWord::UNKNOWN_INSTRUCTION);
        assert_eq!(decode("ab0480020190").executed, Some(400));
    }

    #[test]
    fn problems_have_names() {
        let problem = |octets| decode(octets).problem.unwrap().to_string();
        assert_eq!(problem("ab06800101900101"), "bad format: unknown tag");
        assert_eq!(problem("ab06800101900103"), "bad format: length not found");
        assert_eq!(problem("ab06800101810101"), "immediate action: suspension error");
        assert_eq!(problem("ab06800101830102"), "script chaining: not supported");
        assert_eq!(problem("af808301090000"), "script chaining: error 09");
    }

    #[test]
    fn malformed_answers_are_named() {
        let error = |octets| decode_response(&hex::decode(octets).unwrap()).unwrap_err();
        assert_eq!(
            error("ab0323016d"),
            ScriptError::Object { tag: 0x23, expected: "2 octets or more", found: 1 }
        );
        assert_eq!(error("ab028000"), ScriptError::Object { tag: 0x80, expected: "1 to 4 octets", found: 0 });
        assert_eq!(error("ab0490020101"), ScriptError::Object { tag: 0x90, expected: "1 octet", found: 2 });
        assert_eq!(error("af8023026d00"), ScriptError::EndOfContents);
        assert_eq!(error("af8023026d00000000"), ScriptError::Trailing(1));
        assert_eq!(error("ab0380010100"), ScriptError::Trailing(1));
        let whole = hex::decode("ab0d80010223046f21900023026a82").unwrap();
        for len in 1..whole.len() {
            assert!(decode_response(&whole[..len]).is_err(), "{len}");
        }
        // An object of a later release.
        assert_eq!(decode_response(&hex::decode("ab0685018080010a").unwrap()).unwrap().executed, Some(10));
    }

    proptest! {
        #[test]
        fn answers_read_as_they_are_written(
            data in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..200), any::<u16>()), 0..9),
            executed: u32, indefinite: bool,
        ) {
            let format = if indefinite { Format::ExpandedIndefinite } else { Format::Expanded };
            let responses = data.into_iter()
                .map(|(data, status)| ResponseApdu { data, status: StatusWord(status) })
                .collect();
            let executed = (!indefinite).then_some(executed);
            let response = ScriptResponse { format, executed, responses, problem: None };
            prop_assert_eq!(decode_response(&response.encode()), Ok(response));
        }

        #[test]
        fn no_octets_panic(mut octets in prop::collection::vec(any::<u8>(), 0..200), first in 0xABu8..=0xAF) {
            let _ = decode_response(&octets);
            octets.insert(0, first);
            let _ = decode_response(&octets);
        }
    }
}
