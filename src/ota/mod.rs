//! Secured packets and what carries them: pure octets in, octets out.
//!
//! | module | what it knows | specification |
//! |---|---|---|
//! | [`spi`], [`fields`] | the fields of the headers: SPI, TAR, CNTR | TS 102 225 §5.1 |
//! | [`key`], [`key_set`] | keys, and the key sets that the KIc and KID octets name | TS 102 225 §5.1.2, §5.1.3 |
//! | [`crc`] | the redundancy check | TS 102 225 §5.1.3.1, annex B |
//! | [`command`], [`response`] | command and response packets, secured and opened | TS 102 225 §5.1, §5.2 |
//! | [`user_data`] | the user data header and what a short message carries | TS 23.040 §9.2.3.24, TS 31.115 §4 |
//! | [`parts`], [`reassembly`] | one packet in several short messages, and back | TS 31.115 §4.3, §4.4 |
//! | [`comprehension_tlv`] | COMPREHENSION-TLV and BER-TLV data objects | TS 101 220 §7.1 |
//! | [`apdu`] | command APDUs and status words | TS 102 221 §10, §11 |
//! | [`script`] | scripts of commands and the answers to them | TS 102 226 §5 |
//! | [`ef`] | elementary files of a subscription | TS 31.102 §4, TS 102 221 §13 |
//! | [`tp`] | SMS-DELIVER and SMS-SUBMIT | TS 23.040 §9.2.2 |
//!
//! A *packet* here begins with its length field (CPL or RPL). The user data header before it (`02 70 00`, `02 71 00`)
//! belongs to [`user_data`] and [`parts`]. All numbers on the wire are most significant octet first.
//!
//! A packet is secured by no check, a redundancy check (RC) or a cryptographic checksum (CC), each with and without
//! ciphering, under AES, triple DES or DES. Digital signatures (DS) are refused: nobody uses them.

pub mod apdu;
mod cipher;
pub mod command;
pub mod comprehension_tlv;
pub mod crc;
pub mod ef;
pub mod fields;
pub mod key;
pub mod key_set;
pub mod packet;
pub mod parts;
pub mod reassembly;
pub mod response;
pub mod script;
pub mod spi;
pub mod tp;
pub mod user_data;

pub use self::crc::Crc;
pub use command::{CommandHeader, OpenedCommand};
pub use fields::{Cntr, Tar};
pub use key::{Algorithm, AlgorithmError, Key, KeyError};
pub use key_set::KeySet;
pub use packet::{OpenError, SealError, SecurityError};
pub use parts::{Cpi, CpiPosition, SplitError, SplitOptions, parts_needed, split};
pub use reassembly::{Insertion, Joined, PartError, PartSet};
pub use response::{OpenedResponse, ResponseHeader, Rsc};
pub use spi::{CounterMode, Integrity, PorRequest, Spi1, Spi2};
pub use user_data::{Concatenation, Content, Element, Reference, UserData, UserDataError};
