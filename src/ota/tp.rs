//! SMS-DELIVER (to the card) and SMS-SUBMIT (from it) as the terminal and the card exchange them (TS 23.040 §9.2.2).

use chrono::{DateTime, Datelike, Timelike};

/// Octets of user data in one TPDU.
const USER_DATA_LEN_MAX: usize = 140;
/// Semi-octets of an address.
const ADDRESS_LEN_MAX: u8 = 20;
/// What the semi-octets 0 to E mean in a number (TS 23.040 §9.1.2.3).
const DIGITS: &str = "0123456789*#abc";

/// TP-PID of a message for the card: (U)SIM data download.
pub const PID_SIM_DATA_DOWNLOAD: u8 = 0x7F;
/// TP-DCS of a message for the card: 8-bit data, class 2.
pub const DCS_8_BIT_CLASS_2: u8 = 0xF6;

/// Why octets are no TPDU, or a TPDU cannot be put into octets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TpError {
    /// The octets end inside this field.
    #[error("{field}: expected {expected} octets, found {found}")]
    TooShort {
        /// The field by its name in TS 23.040.
        field: &'static str,
        /// Octets that the field has.
        expected: usize,
        /// Octets that were left.
        found: usize,
    },
    /// Octets follow the user data.
    #[error("TP-UD: {0} octets more than TP-UDL says")]
    Trailing(usize),
    /// Another kind of TPDU.
    #[error("TP-MTI: expected {expected:02b}, found {found:02b}")]
    MessageType {
        /// 00 for SMS-DELIVER, 01 for SMS-SUBMIT.
        expected: u8,
        /// The two bits found.
        found: u8,
    },
    /// An address has more than 20 semi-octets, or a character that no address has.
    #[error("address: expected at most 20 of the digits 0 to 9, *, #, a, b, c")]
    Address,
    /// More user data than a TPDU holds.
    #[error("TP-UD: expected at most 140 octets, found {0}")]
    UserDataTooLong(usize),
    /// User data in septets is read but not written.
    #[error("TP-DCS: expected user data in octets, found {0:#04X}")]
    Septets(u8),
}

/// An originating or destination address (TS 23.040 §9.1.2.5). Keeps the octets as they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TpAddress {
    type_of_address: u8,
    semi_octets: u8,
    octets: Vec<u8>,
}

impl TpAddress {
    /// Type of address: international number in the E.164 plan.
    pub const INTERNATIONAL: u8 = 0x91;
    /// Type of address: number of unknown kind in the E.164 plan, as for short codes.
    pub const UNKNOWN: u8 = 0x81;

    /// A number of at most 20 digits (0 to 9, `*`, `#`, `a`, `b`, `c`); `type_of_address` is TON and NPI with b8 = 1.
    ///
    /// # Errors
    /// [`TpError::Address`].
    pub fn new(type_of_address: u8, digits: &str) -> Result<Self, TpError> {
        let semi_octets = u8::try_from(digits.len()).map_err(|_| TpError::Address)?;
        if semi_octets > ADDRESS_LEN_MAX {
            return Err(TpError::Address);
        }
        let digits: Option<Vec<u8>> = digits.chars().map(semi_octet).collect();
        let octets = digits.ok_or(TpError::Address)?.chunks(2).map(swapped).collect();
        Ok(Self { type_of_address, semi_octets, octets })
    }

    /// Type of address: b8 = 1, TON in b7 to b5, NPI in b4 to b1.
    #[must_use]
    pub const fn type_of_address(&self) -> u8 {
        self.type_of_address
    }

    /// The digits; `None` for alphanumeric addresses and where a filler stands among the digits.
    #[must_use]
    pub fn digits(&self) -> Option<String> {
        if self.type_of_address & 0x70 == 0x50 {
            return None;
        }
        let semi_octets = self.octets.iter().flat_map(|octet| [octet & 0x0F, octet >> 4]);
        semi_octets.take(self.semi_octets.into()).map(|digit| DIGITS.chars().nth(digit.into())).collect()
    }

    /// Two digits an octet, the first one in the low nibble, filled up with F. With the type of address before it, this is
    /// the value of a COMPREHENSION-TLV address.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// Semi-octets of the address, fillers not counted: 0 to 20.
    #[must_use]
    pub const fn semi_octets(&self) -> u8 {
        self.semi_octets
    }

    /// Reads an address from its length on: number of semi-octets, type of address, digits. Also gives what follows.
    ///
    /// # Errors
    /// [`TpError::TooShort`], [`TpError::Address`].
    pub fn parse(octets: &[u8]) -> Result<(Self, &[u8]), TpError> {
        let mut rest = octets;
        let address = Self::take(&mut rest, "address")?;
        Ok((address, rest))
    }

    fn take(rest: &mut &[u8], field: &'static str) -> Result<Self, TpError> {
        let [semi_octets, type_of_address] = take(rest, field)?;
        if semi_octets > ADDRESS_LEN_MAX {
            return Err(TpError::Address);
        }
        let octets = take_slice(rest, usize::from(semi_octets).div_ceil(2), field)?.to_vec();
        Ok(Self { type_of_address, semi_octets, octets })
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.extend([self.semi_octets, self.type_of_address]);
        out.extend_from_slice(&self.octets);
    }
}

/// SMS-DELIVER, SC to MS (TS 23.040 §9.2.2.1). Reply path, status report indication and loop prevention are not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deliver {
    /// Whether more messages wait at the service centre (TP-MMS = 0).
    pub more_messages: bool,
    /// Whether the user data begins with a header (TP-UDHI).
    pub udhi: bool,
    /// TP-OA.
    pub originator: TpAddress,
    /// TP-PID.
    pub pid: u8,
    /// TP-DCS.
    pub dcs: u8,
    /// TP-SCTS, see [`time_stamp`].
    pub time_stamp: [u8; 7],
    /// TP-UD, at most 140 octets; packed septets stay packed.
    pub user_data: Vec<u8>,
}

impl Deliver {
    /// Reads a TPDU.
    ///
    /// # Errors
    /// [`TpError`] names the field.
    pub fn parse(tpdu: &[u8]) -> Result<Self, TpError> {
        let mut rest = tpdu;
        let first = take_first(&mut rest, 0b00)?;
        let originator = TpAddress::take(&mut rest, "TP-OA")?;
        let [pid, dcs] = take(&mut rest, "TP-PID, TP-DCS")?;
        let time_stamp = take(&mut rest, "TP-SCTS")?;
        let user_data = take_user_data(rest, dcs)?;
        let (more_messages, udhi) = (first & 0x04 == 0, first & 0x40 != 0);
        Ok(Self { more_messages, udhi, originator, pid, dcs, time_stamp, user_data })
    }

    /// The octets of the TPDU.
    ///
    /// # Errors
    /// [`TpError::UserDataTooLong`]; [`TpError::Septets`] if the TP-DCS counts user data in septets.
    pub fn encode(&self) -> Result<Vec<u8>, TpError> {
        let mut tpdu = vec![u8::from(!self.more_messages) << 2 | u8::from(self.udhi) << 6];
        self.originator.put(&mut tpdu);
        tpdu.extend([self.pid, self.dcs]);
        tpdu.extend(self.time_stamp);
        put_user_data(&mut tpdu, self.dcs, &self.user_data)?;
        Ok(tpdu)
    }
}

/// How long the service centre tries to deliver (TP-VPF, TP-VP; TS 23.040 §9.2.3.12). Raw values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ValidityPeriod {
    /// Not given.
    None,
    /// Relative form.
    Relative(u8),
    /// Absolute form, as a time stamp.
    Absolute([u8; 7]),
    /// Enhanced form.
    Enhanced([u8; 7]),
}

/// SMS-SUBMIT, MS to SC (TS 23.040 §9.2.2.2). Reply path is not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submit {
    /// Whether the service centre refuses a message with the same reference and destination (TP-RD).
    pub reject_duplicates: bool,
    /// Whether a status report is asked for (TP-SRR).
    pub status_report: bool,
    /// Whether the user data begins with a header (TP-UDHI).
    pub udhi: bool,
    /// TP-MR. A card leaves it 0, the terminal fills it in.
    pub message_reference: u8,
    /// TP-DA.
    pub destination: TpAddress,
    /// TP-PID.
    pub pid: u8,
    /// TP-DCS.
    pub dcs: u8,
    /// TP-VP.
    pub validity_period: ValidityPeriod,
    /// TP-UD, at most 140 octets; packed septets stay packed.
    pub user_data: Vec<u8>,
}

impl Submit {
    /// Reads a TPDU.
    ///
    /// # Errors
    /// [`TpError`] names the field.
    pub fn parse(tpdu: &[u8]) -> Result<Self, TpError> {
        let mut rest = tpdu;
        let first = take_first(&mut rest, 0b01)?;
        let [message_reference] = take(&mut rest, "TP-MR")?;
        let destination = TpAddress::take(&mut rest, "TP-DA")?;
        let [pid, dcs] = take(&mut rest, "TP-PID, TP-DCS")?;
        let validity_period = match first >> 3 & 0b11 {
            0b00 => ValidityPeriod::None,
            0b10 => {
                let [period] = take(&mut rest, "TP-VP")?;
                ValidityPeriod::Relative(period)
            }
            0b01 => ValidityPeriod::Enhanced(take(&mut rest, "TP-VP")?),
            _ => ValidityPeriod::Absolute(take(&mut rest, "TP-VP")?),
        };
        Ok(Self {
            reject_duplicates: first & 0x04 != 0,
            status_report: first & 0x20 != 0,
            udhi: first & 0x40 != 0,
            message_reference,
            destination,
            pid,
            dcs,
            validity_period,
            user_data: take_user_data(rest, dcs)?,
        })
    }

    /// The octets of the TPDU.
    ///
    /// # Errors
    /// [`TpError::UserDataTooLong`]; [`TpError::Septets`] if the TP-DCS counts user data in septets.
    pub fn encode(&self) -> Result<Vec<u8>, TpError> {
        let format = match self.validity_period {
            ValidityPeriod::None => 0b00,
            ValidityPeriod::Enhanced(_) => 0b01,
            ValidityPeriod::Relative(_) => 0b10,
            ValidityPeriod::Absolute(_) => 0b11,
        };
        let flags = u8::from(self.reject_duplicates) << 2
            | u8::from(self.status_report) << 5
            | u8::from(self.udhi) << 6;
        let mut tpdu = vec![0b01 | format << 3 | flags, self.message_reference];
        self.destination.put(&mut tpdu);
        tpdu.extend([self.pid, self.dcs]);
        match self.validity_period {
            ValidityPeriod::None => {}
            ValidityPeriod::Relative(period) => tpdu.push(period),
            ValidityPeriod::Absolute(period) | ValidityPeriod::Enhanced(period) => tpdu.extend(period),
        }
        put_user_data(&mut tpdu, self.dcs, &self.user_data)?;
        Ok(tpdu)
    }
}

/// The service centre time stamp of a unix time in milliseconds, in UTC: year (two digits), month, day, hour, minute, second,
/// time zone, each with its digits swapped (TS 23.040 §9.2.3.11). A time beyond the calendar is taken as 1970.
#[must_use]
pub fn time_stamp(unix_ms: u64) -> [u8; 7] {
    let time = i64::try_from(unix_ms).ok().and_then(DateTime::from_timestamp_millis).unwrap_or_default();
    let year = time.year().unsigned_abs();
    [year, time.month(), time.day(), time.hour(), time.minute(), time.second(), 0].map(|number| {
        // Two decimal digits.
        (((number % 10) << 4) | ((number / 10) % 10)) as u8
    })
}

/// Whether TP-UDL counts septets: the alphabet is the 7-bit one and not compressed (TS 23.038 §4).
pub(crate) const fn counts_septets(dcs: u8) -> bool {
    match dcs >> 4 {
        // General and automatic deletion groups: b6 compressed, b4b3 the alphabet (00 7-bit, 11 reserved and read as 7-bit).
        0x0..=0x7 => dcs & 0x20 == 0 && matches!(dcs >> 2 & 0b11, 0b00 | 0b11),
        0xE => false,
        0xF => dcs & 0b100 == 0,
        _ => true,
    }
}

/// Takes the first octet off `rest` and checks the message type in b2b1.
fn take_first(rest: &mut &[u8], expected: u8) -> Result<u8, TpError> {
    let [first] = take(rest, "TP-MTI")?;
    match first & 0b11 {
        found if found == expected => Ok(first),
        found => Err(TpError::MessageType { expected, found }),
    }
}

fn take_user_data(mut rest: &[u8], dcs: u8) -> Result<Vec<u8>, TpError> {
    let [udl] = take(&mut rest, "TP-UDL")?;
    let udl = usize::from(udl);
    let len = if counts_septets(dcs) { (udl * 7).div_ceil(8) } else { udl };
    if len > USER_DATA_LEN_MAX {
        return Err(TpError::UserDataTooLong(len));
    }
    let user_data = take_slice(&mut rest, len, "TP-UD")?;
    if rest.is_empty() { Ok(user_data.to_vec()) } else { Err(TpError::Trailing(rest.len())) }
}

fn put_user_data(tpdu: &mut Vec<u8>, dcs: u8, user_data: &[u8]) -> Result<(), TpError> {
    if counts_septets(dcs) {
        return Err(TpError::Septets(dcs));
    }
    match u8::try_from(user_data.len()) {
        Ok(udl) if user_data.len() <= USER_DATA_LEN_MAX => tpdu.push(udl),
        _ => return Err(TpError::UserDataTooLong(user_data.len())),
    }
    tpdu.extend_from_slice(user_data);
    Ok(())
}

fn take<const N: usize>(rest: &mut &[u8], field: &'static str) -> Result<[u8; N], TpError> {
    let too_short = TpError::TooShort { field, expected: N, found: rest.len() };
    let (taken, left) = rest.split_first_chunk::<N>().ok_or(too_short)?;
    *rest = left;
    Ok(*taken)
}

fn take_slice<'a>(rest: &mut &'a [u8], len: usize, field: &'static str) -> Result<&'a [u8], TpError> {
    let too_short = TpError::TooShort { field, expected: len, found: rest.len() };
    let (taken, left) = rest.split_at_checked(len).ok_or(too_short)?;
    *rest = left;
    Ok(taken)
}

/// The semi-octet of a digit.
fn semi_octet(digit: char) -> Option<u8> {
    DIGITS.find(digit).and_then(|position| u8::try_from(position).ok())
}

/// One octet of one or two semi-octets, the first one low, a missing one F.
fn swapped(pair: &[u8]) -> u8 {
    match pair {
        [low, high, ..] => high << 4 | low,
        [low] => 0xF0 | low,
        [] => 0xFF,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn deliver() -> Deliver {
        Deliver {
            more_messages: false,
            udhi: true,
            originator: TpAddress::new(TpAddress::UNKNOWN, "10604").unwrap(),
            pid: PID_SIM_DATA_DOWNLOAD,
            dcs: DCS_8_BIT_CLASS_2,
            time_stamp: time_stamp(1_700_000_000_000),
            user_data: vec![0x02, 0x70, 0x00, 0xAB],
        }
    }

    #[test]
    fn a_deliver_is_written_octet_by_octet() {
        let tpdu = deliver().encode().unwrap();
        // 2023-11-14 22:13:20.
        assert_eq!(hex::encode(&tpdu), "4405810106f47ff632114122310200".to_owned() + "04" + "027000ab");
        assert_eq!(Deliver::parse(&tpdu), Ok(deliver()));
    }

    #[test]
    fn a_submit_of_a_field_applet_is_read() {
        // Plain 8-octet IMEI to a short code.
        let tpdu = hex::decode("01000581 0106f4 0004 08 4a44444444444447".replace(' ', "")).unwrap();
        let submit = Submit::parse(&tpdu).unwrap();
        assert_eq!(submit.destination.digits().as_deref(), Some("10604"));
        assert_eq!((submit.udhi, submit.pid, submit.dcs), (false, 0x00, 0x04));
        assert_eq!(submit.validity_period, ValidityPeriod::None);
        assert_eq!(submit.user_data, [0x4A, 0x44, 0x44, 0x44, 0x44, 0x44, 0x44, 0x47]);
        assert_eq!(submit.encode().unwrap(), tpdu);
    }

    #[test]
    fn septets_are_counted_as_septets() {
        // "hello" is 5 septets in 5 octets, ten septets take 9 octets.
        for (udl, octets) in [(5, 5), (10, 9), (160, 140)] {
            let tpdu = [&[0x04, 2, 0x81, 0x21, 0, 0], &[0; 7][..], &[udl], &vec![0x55; octets]].concat();
            assert_eq!(Deliver::parse(&tpdu).map(|deliver| deliver.user_data.len()), Ok(octets));
        }
        for (dcs, septets) in
            [(0x00, true), (0x04, false), (0x08, false), (0xF6, false), (0x16, false), (0x11, true)]
        {
            assert_eq!(counts_septets(dcs), septets, "{dcs:02X}");
        }
        assert_eq!(Deliver { dcs: 0, ..deliver() }.encode(), Err(TpError::Septets(0)));
    }

    #[test]
    fn malformed_tpdus_are_named() {
        let tpdu = deliver().encode().unwrap();
        for len in 0..tpdu.len() {
            assert!(
                matches!(Deliver::parse(&tpdu[..len]), Err(TpError::TooShort { .. })),
                "{len} of {} octets",
                tpdu.len()
            );
        }
        assert_eq!(Deliver::parse(&[tpdu.as_slice(), &[0]].concat()), Err(TpError::Trailing(1)));
        assert_eq!(Submit::parse(&tpdu), Err(TpError::MessageType { expected: 1, found: 0 }));
        assert_eq!(Deliver::parse(&[0x04, 21, 0x91]), Err(TpError::Address));
        let long = Deliver { user_data: vec![0; 141], ..deliver() };
        assert_eq!(long.encode(), Err(TpError::UserDataTooLong(141)));
    }

    #[test]
    fn addresses_know_their_digits() {
        assert_eq!(
            TpAddress::new(0x91, "8613800138000*").unwrap().digits().as_deref(),
            Some("8613800138000*")
        );
        assert_eq!(TpAddress::new(0x91, "123").unwrap().octets(), [0x21, 0xF3]);
        assert_eq!(TpAddress::new(0x91, "12x"), Err(TpError::Address));
        assert_eq!(TpAddress::new(0x91, &"1".repeat(21)), Err(TpError::Address));
        assert_eq!(TpAddress::new(0xD0, "1234").unwrap().digits(), None, "alphanumeric");
    }

    proptest! {
        #[test]
        fn a_submit_is_read_as_it_is_written(
            flags: [bool; 3],
            message_reference: u8,
            digits in "[0-9*#abc]{0,20}",
            pid: u8,
            period in prop_oneof![
                Just(ValidityPeriod::None),
                any::<u8>().prop_map(ValidityPeriod::Relative),
                any::<[u8; 7]>().prop_map(ValidityPeriod::Absolute),
                any::<[u8; 7]>().prop_map(ValidityPeriod::Enhanced),
            ],
            user_data in prop::collection::vec(any::<u8>(), 0..=140),
        ) {
            let [reject_duplicates, status_report, udhi] = flags;
            let destination = TpAddress::new(TpAddress::INTERNATIONAL, &digits).unwrap();
            prop_assert_eq!(destination.digits(), Some(digits));
            let submit = Submit {
                reject_duplicates, status_report, udhi, message_reference, destination, pid,
                dcs: DCS_8_BIT_CLASS_2, validity_period: period, user_data,
            };
            prop_assert_eq!(Submit::parse(&submit.encode().unwrap()), Ok(submit));
        }

        #[test]
        fn no_octets_panic(octets in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = Deliver::parse(&octets).map(|deliver| deliver.originator.digits());
            let _ = Submit::parse(&octets).map(|submit| submit.destination.digits());
        }

        #[test]
        fn time_stamps_never_panic(unix_ms: u64) {
            let _ = time_stamp(unix_ms);
        }
    }
}
