//! What the files of a card hold for a subscription.

use crate::card::profile::{FileName, StepValue, WriteStep, WriteTerms};
use crate::card::subscription::Subscription;
use crate::ota::ef::{
    Acc, AccessTechnologies, Ad, Content, Ef, Length, MsisdnRecord, Plmn, PlmnEntry, Smsp, Spn,
};

/// Octets of a record of EF.MSISDN and of EF.SMSP behind the alpha identifier (TS 31.102 §4.2.26, §4.2.27).
const MSISDN_TAIL: usize = 14;
const SMSP_TAIL: usize = 28;
/// Octets of an entry of EF.FPLMN and EF.EHPLMN, and of the lists with access technologies.
const PLMN_LEN: usize = 3;
const ENTRY_LEN: usize = 5;

/// The octets that a step writes for this order; `None` where the order has no such value.
///
/// # Errors
/// What was expected, where the file cannot hold such a value or the profile does not say what it takes.
pub(super) fn contents(
    step: &WriteStep,
    terms: &WriteTerms,
    order: &Subscription,
) -> Result<Option<Vec<u8>>, String> {
    let octets = match (&step.file, &step.value) {
        (_, StepValue::Octets(octets)) => octets.clone(),
        (FileName::Path(_), _) => {
            return Err("value = \"hex:…\": nothing else is known of such a file".to_owned());
        }
        (FileName::Known(file), value) => match content(*file, value, step, terms, order)? {
            Some(content) => content.encode(),
            None => return Ok(None),
        },
    };
    let found = octets.len();
    match (&step.file, step.length) {
        (_, Some(length)) if found > length.into() => Err(format!("{length} octets at most, found {found}")),
        (FileName::Known(file), _) if !file.length().fits(found) => {
            Err(format!("{} octets, found {found}", file.length()))
        }
        _ => Ok(Some(octets)),
    }
}

fn content(
    file: Ef,
    value: &StepValue,
    step: &WriteStep,
    terms: &WriteTerms,
    order: &Subscription,
) -> Result<Option<Content>, String> {
    match value {
        StepValue::Order => of_order(file, terms, order),
        StepValue::Blank => blank(file, step, terms, order).map(Some),
        StepValue::Text(name) if file == Ef::Spn => {
            Spn::new(name).map(|spn| Some(Content::Spn(spn))).map_err(|error| error.to_string())
        }
        StepValue::Plmns(plmns) if is_list(file) => list(file, plmns, step).map(Some),
        StepValue::Text(_) | StepValue::Plmns(_) | StepValue::Octets(_) => {
            Err("a value that fits the file: \"text:…\" EF.SPN, \"plmns:…\" lists of networks".to_owned())
        }
    }
}

/// What follows from the order.
fn of_order(file: Ef, terms: &WriteTerms, order: &Subscription) -> Result<Option<Content>, String> {
    let content = match file {
        Ef::Imsi => Content::Imsi(order.imsi),
        Ef::Acc => Content::Acc(Acc::of_imsi(&order.imsi)),
        Ef::Ad => Content::Ad(Ad::normal(mnc_digits(terms)?)),
        Ef::Msisdn => Content::Msisdn(MsisdnRecord::new(order.msisdn, msisdn_alpha(terms)?)),
        Ef::Smsp => {
            let alpha = smsp_alpha(terms)?;
            return Ok(order.smsc.map(|smsc| Content::Smsp(Smsp::of_service_centre(&smsc, alpha))));
        }
        Ef::Iccid => return Ok(order.iccid.map(Content::Iccid)),
        _ => return Err("value = \"blank\" or \"hex:…\": an order says nothing of this file".to_owned()),
    };
    Ok(Some(content))
}

/// What stands there on a card that no network has seen.
fn blank(file: Ef, step: &WriteStep, terms: &WriteTerms, order: &Subscription) -> Result<Content, String> {
    let length = match (file, file.length()) {
        (Ef::Imsi | Ef::Iccid | Ef::Acc | Ef::Ad, _) => {
            return Err("value = \"order\" or \"hex:…\": no card goes without".to_owned());
        }
        (Ef::Msisdn, _) => usize::from(msisdn_alpha(terms)?) + MSISDN_TAIL,
        (Ef::Smsp, _) => usize::from(smsp_alpha(terms)?) + SMSP_TAIL,
        (_, Length::Exactly(octets)) => octets.into(),
        _ => length(step)?,
    };
    let home = Plmn::of_imsi(&order.imsi, mnc_digits(terms)?).map_err(|error| error.to_string())?;
    Ok(Content::unused(file, home, length))
}

const fn is_list(file: Ef) -> bool {
    matches!(file, Ef::Fplmn | Ef::Ehplmn | Ef::PlmnWact | Ef::OplmnWact | Ef::HplmnWact)
}

/// These networks, each by any radio access, and unused entries up to the file's length.
fn list(file: Ef, plmns: &[Plmn], step: &WriteStep) -> Result<Content, String> {
    let length = length(step)?;
    let plmns = |entry: usize| {
        let unused = (length / entry).saturating_sub(plmns.len());
        plmns.iter().copied().map(Some).chain(std::iter::repeat_n(None, unused))
    };
    Ok(match file {
        Ef::Fplmn | Ef::Ehplmn => Content::Plmns(plmns(PLMN_LEN).collect()),
        _ => Content::PlmnsWithTechnologies(
            plmns(ENTRY_LEN)
                .map(|plmn| match plmn {
                    Some(_) => PlmnEntry { plmn, technologies: AccessTechnologies::ALL_3GPP },
                    None => PlmnEntry::UNUSED,
                })
                .collect(),
        ),
    })
}

fn length(step: &WriteStep) -> Result<usize, String> {
    step.length
        .map(usize::from)
        .ok_or_else(|| "length: the octets of the file or record on the card".to_owned())
}

fn mnc_digits(terms: &WriteTerms) -> Result<u8, String> {
    terms.mnc_digits.ok_or_else(|| "write.mnc_digits".to_owned())
}

fn msisdn_alpha(terms: &WriteTerms) -> Result<u8, String> {
    terms
        .msisdn_alpha
        .ok_or_else(|| "write.msisdn_alpha: the octets of the name in a record on the card".to_owned())
}

fn smsp_alpha(terms: &WriteTerms) -> Result<u8, String> {
    terms
        .smsp_alpha
        .ok_or_else(|| "write.smsp_alpha: the octets of the name in a record on the card".to_owned())
}
