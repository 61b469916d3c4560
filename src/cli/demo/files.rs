//! What the files of a card must hold that was written by remote file management: what was ordered, or what knows nothing of
//! the former subscription, in the files that the profile names, and the factory's contents in all others.
//!
//! Spelled out here octet by octet, apart from what plans and encodes the writes, so that agreement means something.

use crate::card::{Profile, StepValue, WriteStep};
use crate::cli::sample::Target;
use crate::identity::Msisdn;
use crate::sim::CardReport;

/// The service centre that orders name, in the address octets of EF.SMSP.
pub(super) const SMSC: &str = "8613800100500";

/// The names of the files whose contents are not what they must be.
pub(super) fn wrong(
    profile: &Profile,
    target: &Target,
    factory: &CardReport,
    now: &CardReport,
) -> Vec<String> {
    let mut expected = factory.files.clone();
    let mut wrong = Vec::new();
    for step in &profile.write.steps {
        let record = usize::from(step.record.unwrap_or(1)).saturating_sub(1);
        let file =
            expected.get_mut(step.file.to_string().as_str()).and_then(|records| records.get_mut(record));
        match (file, contents(step, target)) {
            (Some(file), Some(octets)) => *file = over(file, &octets),
            _ => wrong.push(step.file.to_string()),
        }
    }
    wrong.extend(
        expected
            .iter()
            .filter(|(name, file)| now.files.get(*name) != Some(file))
            .map(|(name, _)| (*name).to_owned()),
    );
    wrong
}

/// The octets, in hexadecimal, that a step has to leave at the beginning of its file.
fn contents(step: &WriteStep, target: &Target) -> Option<String> {
    let name = step.file.to_string();
    Some(match (&step.value, name.as_str()) {
        (StepValue::Octets(octets), _) => hex::encode_upper(octets),
        (StepValue::Text(text), "EF.SPN") => format!("01{:F<32}", hex::encode_upper(text)),
        (StepValue::Order, "EF.IMSI") => hex::encode_upper(target.imsi.to_ef()),
        (StepValue::Order, "EF.MSISDN") => format!("{}{}", "FF".repeat(10), number(&target.msisdn)),
        (StepValue::Order, "EF.SMSP") => {
            format!("{}FD{}{}", "FF".repeat(10), "FF".repeat(12), number(&SMSC.parse().ok()?).get(..24)?)
        }
        (StepValue::Order, "EF.ACC") => {
            let class = target.imsi.as_str().bytes().last()? - b'0';
            format!("{:04X}", 1 << class)
        }
        (StepValue::Order, "EF.AD") => "00000002".to_owned(),
        (StepValue::Order | StepValue::Blank, _) => unused(&name)?,
        _ => return None,
    })
}

/// Length, TON/NPI and digits of a number, filled to the 14 octets behind the name of EF.MSISDN.
fn number(msisdn: &Msisdn) -> String {
    let digits: String = msisdn.as_str().to_owned();
    let swapped = digits.as_bytes().chunks(2).map(|pair| match pair {
        [low, high] => format!("{}{}", *high as char, *low as char),
        rest => format!("F{}", rest.iter().map(|low| *low as char).collect::<String>()),
    });
    let swapped: String = swapped.collect();
    format!("{:F<28}", format!("{:02X}91{swapped}", 1 + swapped.len() / 2))
}

/// No location in the home network, no keys, no networks (TS 31.102 §4.2, §4.4.11). All subscriptions of a sample are of
/// 001/01.
fn unused(name: &str) -> Option<String> {
    let (used, none, rest) = match name {
        "EF.LOCI" => ("", 4, "00F1100000FF01"),
        "EF.PSLOCI" => ("", 7, "00F1100000FF01"),
        "EF.EPSLOCI" => ("", 12, "00F110000001"),
        "EF.5GS3GPPLOCI" => ("", 13, "00F11000000001"),
        "EF.FPLMN" => ("", 12, ""),
        "EF.Keys" | "EF.KeysPS" => ("07", 32, ""),
        "EF.EPSNSC" => ("", 54, ""),
        _ => return None,
    };
    Some(format!("{used}{}{rest}", "FF".repeat(none)))
}

/// A file with its beginning replaced.
fn over(file: &str, beginning: &str) -> String {
    format!("{beginning}{}", file.get(beginning.len()..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a step leaves, of a subscription 001/01 0123456789 with the number +44 7797 704848.
    fn left(file: &str, value: StepValue) -> Option<String> {
        let target =
            Target { imsi: "001010123456789".parse().unwrap(), msisdn: "447797704848".parse().unwrap() };
        let step = WriteStep {
            file: file.parse().unwrap(),
            tar: None,
            record: None,
            length: None,
            value,
            optional: false,
        };
        contents(&step, &target)
    }

    #[test]
    fn contents_are_those_of_the_field() {
        let order = |file| left(file, StepValue::Order).unwrap();
        assert_eq!(order("imsi"), "080910101032547698");
        assert_eq!(order("acc"), "0200");
        assert_eq!(order("msisdn"), format!("{}0791447779078484FFFFFFFFFFFF", "FF".repeat(10)));
        assert_eq!(
            order("smsp"),
            format!("{}FD{}0891683108100005F0FFFFFF", "FF".repeat(10), "FF".repeat(12))
        );
        assert_eq!(order("loci"), "FFFFFFFF00F1100000FF01");
        let name = left("spn", StepValue::Text("MyOperator".to_owned())).unwrap();
        assert_eq!(name, "014D794F70657261746F72FFFFFFFFFFFF");
        assert_eq!(left("7FFF/6F99", StepValue::Blank), None);
        assert_eq!(over("AABBCC", "01"), "01BBCC");
    }
}
