//! Remote scripts and the answers to them.

use airwrite::ota::apdu::StatusWord;
use airwrite::ota::script::{
    Format, Object, Problem, ResponseApdu, ScriptOptions, ScriptResponse, decode_expanded, decode_response,
    encode,
};
use serde_json::Value;

use crate::{Vector, hex};

pub(crate) fn run_script(vector: &Vector) {
    let data = hex(&vector.data);
    let commands: Vec<Vec<u8>> = vector.apdus.iter().map(|apdu| hex(apdu)).collect();
    let script = decode_expanded(&data).unwrap();
    let objects: Vec<_> = commands.iter().map(|command| Object::Command(command)).collect();
    assert_eq!((script.objects, script.bad_format), (objects, None));
    assert_eq!(Format::of_script(&data), script.format);
    assert_eq!(encode(script.format, &ScriptOptions::default(), &commands).unwrap(), data);
}

pub(crate) fn run_compact(vector: &Vector) {
    let response = response(vector);
    assert_eq!((response.format, response.executed), (Format::Compact, vector.commands));
    assert_eq!(response.responses, [apdu(&[&vector.last_data[..], &vector.last_sw].concat())]);
    assert_eq!(response.problem, None);
}

pub(crate) fn run_expanded(vector: &Vector) {
    let response = response(vector);
    let expected = &vector.expect;
    let format = if expected["indefinite"] == true { Format::ExpandedIndefinite } else { Format::Expanded };
    assert_eq!(response.format, format);
    assert_eq!(response.executed.map(Value::from), expected.get("executed").cloned());
    let apdus = expected["rapdus"].as_array().into_iter().flatten();
    let apdus: Vec<_> = apdus.map(|octets| apdu(octets.as_str().unwrap())).collect();
    assert_eq!(response.responses, apdus);

    let (found, words) = match response.problem {
        Some(Problem::BadFormat(value)) => (&expected["bad_format"], format!("{:02x}", value.0)),
        Some(Problem::ImmediateAction(value)) => (&expected["immediate_action"], format!("{value:02x}")),
        Some(Problem::Chaining(value)) => (&expected["script_chaining"], format!("{value:02x}")),
        None => (&Value::Null, String::new()),
    };
    match found.as_str().and_then(|text| text.split_once(' ')) {
        Some((value, meaning)) => {
            assert_eq!(value, words);
            assert!(response.problem.unwrap().to_string().ends_with(meaning));
        }
        None => {
            let problems = ["bad_format", "immediate_action", "script_chaining"];
            assert!(problems.iter().all(|problem| expected.get(problem).is_none()), "{expected}");
        }
    }
}

/// The answer, read and written.
fn response(vector: &Vector) -> ScriptResponse {
    let data = hex(&vector.data);
    let response = decode_response(&data).unwrap();
    assert_eq!(response.encode(), data);
    response
}

fn apdu(octets: &str) -> ResponseApdu {
    let octets = hex(octets);
    let (data, status) = octets.split_last_chunk().unwrap();
    ResponseApdu { data: data.to_vec(), status: StatusWord(u16::from_be_bytes(*status)) }
}
