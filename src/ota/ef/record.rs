//! Records that begin with a name: EF.MSISDN and EF.SMSP (TS 31.102 §4.2.26, §4.2.27).

use super::{BLANK, Ef, EfError, Fields, alpha};
use crate::identity::{INTERNATIONAL, Msisdn, bcd};
use crate::ota::tp::TpAddress;

/// Octets of an address in EF.SMSP.
const ADDRESS_LEN: usize = 12;
/// Octets of an EF.MSISDN and an EF.SMSP record behind the name.
const MSISDN_TAIL: usize = 14;
const SMSP_TAIL: usize = 28;

/// A record of EF.MSISDN. References to other files (capability, extension) are not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MsisdnRecord {
    /// The octets of the name, see [`alpha`]; 0 or more.
    pub alpha: Vec<u8>,
    /// The number; `None` in a record with a name only.
    pub number: Option<Msisdn>,
}

impl MsisdnRecord {
    /// A record without a name, for which it has `alpha_octets` octets. It is 14 octets longer.
    #[must_use]
    pub fn new(number: Msisdn, alpha_octets: u8) -> Self {
        Self { alpha: vec![BLANK; alpha_octets.into()], number: Some(number) }
    }

    pub(super) fn decode(octets: &[u8]) -> Result<Self, EfError> {
        let (alpha, _) = split::<MSISDN_TAIL>(Ef::Msisdn, octets)?;
        Ok(Self { alpha: alpha.to_vec(), number: Msisdn::from_ef_record(octets)? })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let blank = || vec![BLANK; MSISDN_TAIL];
        let tail = self.number.map_or_else(blank, |number| number.to_ef_record(0));
        [&self.alpha[..], &tail].concat()
    }

    pub(super) fn describe(&self, fields: &mut Fields) {
        put_name(fields, &self.alpha);
        fields.put("number", 12, self.number.map_or_else(none, |number| number.to_string()));
        fields.put("references", 2, "none");
    }
}

/// A record of EF.SMSP: the parameters that a terminal sends its short messages with. Each is there or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Smsp {
    /// The octets of the name, see [`alpha`]; 0 or more.
    pub alpha: Vec<u8>,
    /// TP-Destination address.
    pub destination: Option<TpAddress>,
    /// TS-Service centre address.
    pub service_centre: Option<TpAddress>,
    /// TP-Protocol identifier.
    pub pid: Option<u8>,
    /// TP-Data coding scheme.
    pub dcs: Option<u8>,
    /// TP-Validity period, in its relative form (TS 23.040 §9.2.3.12.1).
    pub validity_period: Option<u8>,
}

impl Smsp {
    /// A record without a name, for which it has `alpha_octets` octets, that has only the service centre's international
    /// number. It is 28 octets longer.
    #[must_use]
    pub fn of_service_centre(number: &Msisdn, alpha_octets: u8) -> Self {
        Self {
            alpha: vec![BLANK; alpha_octets.into()],
            destination: None,
            // At most 15 digits, so there is an address.
            service_centre: TpAddress::new(INTERNATIONAL, number.as_str()).ok(),
            pid: None,
            dcs: None,
            validity_period: None,
        }
    }

    pub(super) fn decode(octets: &[u8]) -> Result<Self, EfError> {
        let (alpha, tail) = split::<SMSP_TAIL>(Ef::Smsp, octets)?;
        let [indicators, addresses @ .., pid, dcs, validity_period] = tail;
        let (destination, service_centre) = addresses.split_at(ADDRESS_LEN);
        // A bit that is 0 says that the parameter is there.
        let there = |bit: u8| indicators & 1 << bit == 0;
        Ok(Self {
            alpha: alpha.to_vec(),
            destination: there(0).then(|| destination_address(destination)).transpose()?.flatten(),
            service_centre: there(1).then(|| centre_address(service_centre)).transpose()?.flatten(),
            pid: there(2).then_some(*pid),
            dcs: there(3).then_some(*dcs),
            validity_period: there(4).then_some(*validity_period),
        })
    }

    pub(super) fn encode(&self) -> Vec<u8> {
        let there = [
            self.destination.is_some(),
            self.service_centre.is_some(),
            self.pid.is_some(),
            self.dcs.is_some(),
            self.validity_period.is_some(),
        ];
        let indicators =
            there.iter().enumerate().fold(0xFF, |bits, (bit, there)| bits & !(u8::from(*there) << bit));
        let destination = self.destination.as_ref().map(|address| (address.semi_octets(), address));
        // The type of address is counted, and octets, not digits.
        let centre =
            self.service_centre.as_ref().map(|address| (address.semi_octets().div_ceil(2) + 1, address));
        let mut record = self.alpha.clone();
        record.push(indicators);
        put_address(&mut record, destination);
        put_address(&mut record, centre);
        record.extend([self.pid, self.dcs, self.validity_period].map(|value| value.unwrap_or(BLANK)));
        record
    }

    pub(super) fn describe(&self, fields: &mut Fields) {
        let address = |address: &Option<TpAddress>| {
            address.as_ref().map_or_else(none, |address| {
                let digits = address.digits().unwrap_or_else(|| hex::encode_upper(address.octets()));
                format!("{digits} (type {:02X})", address.type_of_address())
            })
        };
        let octet = |value: Option<u8>| value.map_or_else(none, |value| format!("{value:02X}"));
        put_name(fields, &self.alpha);
        fields.put(
            "parameter indicators",
            1,
            format_args!("{:02X}", self.encode().get(self.alpha.len()).copied().unwrap_or(BLANK)),
        );
        fields.put("TP-Destination address", ADDRESS_LEN, address(&self.destination));
        fields.put("TS-Service centre address", ADDRESS_LEN, address(&self.service_centre));
        fields.put("TP-Protocol identifier", 1, octet(self.pid));
        fields.put("TP-Data coding scheme", 1, octet(self.dcs));
        let period = |period| format!("{} minutes", relative_minutes(period));
        fields.put("TP-Validity period", 1, self.validity_period.map_or_else(none, period));
    }
}

/// Minutes that a relative validity period says (TS 23.040 §9.2.3.12.1).
const fn relative_minutes(period: u8) -> u32 {
    let period = period as u32;
    match period {
        0..=143 => (period + 1) * 5,
        144..=167 => 12 * 60 + (period - 143) * 30,
        168..=196 => (period - 166) * 24 * 60,
        _ => (period - 192) * 7 * 24 * 60,
    }
}

/// Name and what is behind it.
fn split<const TAIL: usize>(file: Ef, octets: &[u8]) -> Result<(&[u8], &[u8; TAIL]), EfError> {
    let wrong = EfError::Length { file, expected: file.length(), found: octets.len() };
    octets.split_last_chunk().ok_or(wrong)
}

fn put_name(fields: &mut Fields, octets: &[u8]) {
    let name = alpha::decode(octets).map_or_else(|_| hex::encode_upper(octets), |name| format!("{name:?}"));
    fields.put("alpha identifier", octets.len(), name);
}

/// Reads the length as TP addresses have it: digits. `None` where there is none.
fn destination_address(octets: &[u8]) -> Result<Option<TpAddress>, EfError> {
    let expected = "at most 20 digits";
    let wrong = EfError::Address { field: "TP-Destination address", expected };
    if octets.first() == Some(&BLANK) {
        return Ok(None);
    }
    TpAddress::parse(octets).map(|(address, _)| Some(address)).map_err(|_| wrong)
}

/// Reads the length as RP addresses have it: octets, the type of address among them. `None` where there is none.
fn centre_address(octets: &[u8]) -> Result<Option<TpAddress>, EfError> {
    let expected = "a length of at most 11 and digits";
    let wrong = EfError::Address { field: "TS-Service centre address", expected };
    let (&length, rest) = octets.split_first().ok_or(wrong)?;
    if matches!(length, 0 | BLANK) {
        return Ok(None);
    }
    let (type_of_address, digits) = rest.get(..length.into()).and_then(<[u8]>::split_first).ok_or(wrong)?;
    let digits = bcd::digits(digits).map_err(|_| wrong)?;
    TpAddress::new(*type_of_address, &digits).map(Some).map_err(|_| wrong)
}

fn put_address(record: &mut Vec<u8>, address: Option<(u8, &TpAddress)>) {
    let end = record.len() + ADDRESS_LEN;
    if let Some((length, address)) = address {
        record.extend([length, address.type_of_address()]);
        record.extend_from_slice(address.octets());
    }
    record.resize(end, BLANK);
}

fn none() -> String {
    "none".to_owned()
}
