//! The identifiers of a device, a card and a subscription: parsed once at the edge, then carried as types.
//!
//! Each identifier has two ways in. *Typed by a person* (`FromStr`, and serde, which is the same) verifies the
//! check digits. *Read from a card* (`from_octets`, `from_ef`, `from_mobile_identity`) verifies only the form:
//! what a card says about itself is a fact, even where its check digit is wrong. So the text of an [`Eid`] or
//! [`Iccid`] that was read from a card may be refused when it is typed back; [`Eid::parse`] takes a policy for that.
//!
//! | type | text | octets |
//! |---|---|---|
//! | [`Imei`] | 15 digits with check digit, or 16 (IMEISV) | mobile identity, TS 24.008 §10.5.1.4 |
//! | [`Imei14`] | the 14 digits on which devices are compared | 14 ASCII digits |
//! | [`Eid`] | 32 digits | 16 octets BCD |
//! | [`Iccid`] | 18 to 20 digits | 10 octets swapped BCD, TS 102 221 §13.2 |
//! | [`Imsi`] | 14 or 15 digits | EF.IMSI, TS 31.102 §4.2.2 |
//! | [`Msisdn`] | 3 to 15 digits, with or without `+` | EF.MSISDN, TS 31.102 §4.2.26 |

pub mod bcd;
mod eid;
mod error;
mod iccid;
mod imei;
mod imsi;
mod luhn;
mod msisdn;
mod symbols;
mod text;

pub use eid::{Eid, EidChecksum};
pub use error::IdentityError;
pub use iccid::Iccid;
pub use imei::{Imei, Imei14};
pub use imsi::Imsi;
pub use msisdn::{INTERNATIONAL, Msisdn};
