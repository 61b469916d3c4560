//! Values in words.

use crate::ota::{CounterMode, Integrity, PorRequest, Spi1, Spi2, Tar};

/// Octets as upper-case hexadecimal digits.
pub(super) fn hex(octets: &[u8]) -> String {
    hex::encode_upper(octets)
}

/// Text where the octets are printable ASCII, in quotation marks; else hexadecimal digits.
pub(super) fn text(octets: &[u8]) -> String {
    let printable = octets.iter().all(|octet| octet.is_ascii_graphic() || *octet == b' ');
    if printable { format!("\"{}\"", String::from_utf8_lossy(octets)) } else { hex(octets) }
}

/// How a command is secured (TS 102 225 §5.1.1, first octet).
pub(super) fn spi1(spi: Spi1) -> String {
    let check = match spi.integrity() {
        Integrity::None => "no check",
        Integrity::Rc => "RC",
        Integrity::Cc => "CC",
        Integrity::Ds => "DS (reserved)",
    };
    let ciphered = if spi.ciphered() { "ciphered" } else { "not ciphered" };
    let counter = match spi.counter_mode() {
        CounterMode::Ignored => "CNTR ignored",
        CounterMode::Unchecked => "CNTR stored without a check",
        CounterMode::Higher => "CNTR must be higher",
        CounterMode::OneHigher => "CNTR must be one higher",
    };
    format!("{check}, {ciphered}, {counter}")
}

/// What response is asked for (TS 102 225 §5.1.1, second octet).
pub(super) fn spi2(spi: Spi2) -> String {
    let when = match spi.por() {
        PorRequest::None => return "no PoR".to_owned(),
        PorRequest::Always => "PoR always",
        PorRequest::OnError => "PoR on error",
        PorRequest::Reserved => "PoR reserved",
    };
    let check = match spi.por_integrity() {
        Integrity::None => "without check",
        Integrity::Rc => "with RC",
        Integrity::Cc => "with CC",
        Integrity::Ds => "with DS",
    };
    let ciphered = if spi.por_ciphered() { "ciphered" } else { "not ciphered" };
    let how = if spi.por_by_submit() { "by SMS-SUBMIT" } else { "in SMS-DELIVER-REPORT" };
    format!("{when}, {check}, {ciphered}, {how}")
}

/// Key set and algorithm of the ciphering key (TS 102 225 §5.1.2).
pub(super) fn kic(octet: u8) -> String {
    let algorithm = match octet & 0x0F {
        0x1 => "DES in CBC mode",
        0x5 => "triple DES, two keys",
        0x9 => "triple DES, three keys",
        0xD => "DES in ECB mode",
        0x2 => "AES in CBC mode",
        low => of_family(low),
    };
    format!("key set {}, {algorithm}", octet >> 4)
}

/// Key set and algorithm of what checks the packet: a CC under a key, or an RC (TS 102 225 §5.1.3).
pub(super) fn kid(octet: u8, integrity: Integrity) -> String {
    let algorithm = match (integrity, octet & 0x0F) {
        (Integrity::Rc, 0x1) => "CRC-16",
        (Integrity::Rc, 0x5) => "CRC-32",
        (_, 0x1) => "DES in CBC mode",
        (_, 0x5) => "triple DES, two keys",
        (_, 0x9) => "triple DES, three keys",
        (_, 0x2) => "AES, CMAC",
        (_, low) => of_family(low),
    };
    format!("key set {}, {algorithm}", octet >> 4)
}

const fn of_family(low: u8) -> &'static str {
    match low & 0b11 {
        0b00 => "algorithm implicitly known",
        0b11 => "proprietary algorithm",
        _ => "reserved algorithm",
    }
}

/// The application that a TAR names (TS 101 220 annex D), and those of this platform's applet.
pub(super) fn tar(tar: Tar) -> Option<&'static str> {
    Some(match tar.0 {
        [0x41, 0x57, 0x31] => "Airwrite applet",
        [0x41, 0x57, 0x32] => "Airwrite applet, messages of the card",
        [0x00, 0x00, 0x00] => "issuer security domain",
        [0xB2, 0x01, 0x00] => "issuer security domain, expanded format",
        [0xB0, 0x00, 0x00 | 0x02..=0x0F] => "file management, shared file system",
        [0xB0, 0x00, 0x01] | [0xB0, 0x00, 0x20..=0xFF] | [0xB0, 0x01, 0x00..=0x1F] => {
            "file management, USIM or another application"
        }
        [0xB0, 0x00, 0x10..=0x1F] => "file management, SIM (or USIM on many cards)",
        [0xB0, 0x01, 0x20..=0x2F] => "file management, shared file system, expanded format",
        [0xB0, 0x01, 0x30..=0x3F] => "file management, SIM, expanded format",
        [0xB0, 0x01, 0x40..=0xFF] => "file management, USIM or another application, expanded format",
        [0xBF, 0xFF, _] => "proprietary",
        _ => return None,
    })
}

/// A bit and what it means, where it is set.
pub(super) fn flags(octet: u8, names: &[(u8, &'static str)]) -> Vec<&'static str> {
    names.iter().filter(|(mask, _)| octet & mask != 0).map(|(_, name)| *name).collect()
}

/// TP-PID, protocol_id of SMPP (TS 23.040 §9.2.3.9).
pub(super) fn pid(octet: u8) -> String {
    match octet {
        0x00 => "short message".to_owned(),
        0x40 => "short message type 0".to_owned(),
        0x41..=0x47 => format!("replace short message type {}", octet & 7),
        0x7C => "ANSI-136 R-DATA".to_owned(),
        0x7D => "ME data download".to_owned(),
        0x7E => "ME de-personalization".to_owned(),
        0x7F => "(U)SIM data download".to_owned(),
        0x20..=0x3F => "telematic interworking".to_owned(),
        0xC0..=0xFF => "specific to the SC".to_owned(),
        _ => "reserved".to_owned(),
    }
}

/// TP-DCS (TS 23.038 §4).
pub(super) fn dcs(octet: u8) -> String {
    let class = |class: u8| match class & 3 {
        0 => "class 0 (display)",
        1 => "class 1 (ME)",
        2 => "class 2 ((U)SIM)",
        _ => "class 3 (TE)",
    };
    match octet >> 4 {
        group @ 0x0..=0x7 => {
            let alphabet = match octet >> 2 & 3 {
                0 => "7-bit alphabet",
                1 => "8-bit data",
                2 => "UCS2",
                _ => "reserved alphabet",
            };
            let mut words = vec![alphabet];
            words.extend((octet & 0x20 != 0).then_some("compressed"));
            words.push(if octet & 0x10 == 0 { "no class" } else { class(octet) });
            words.extend((group >= 4).then_some("delete automatically"));
            words.join(", ")
        }
        0xC => "message waiting, discard".to_owned(),
        0xD => "message waiting, store, 7-bit alphabet".to_owned(),
        0xE => "message waiting, store, UCS2".to_owned(),
        0xF => {
            let alphabet = if octet & 4 == 0 { "7-bit alphabet" } else { "8-bit data" };
            format!("{alphabet}, {}", class(octet))
        }
        _ => "reserved".to_owned(),
    }
}

/// `1 part`, `2 parts`.
pub(super) fn count(number: usize, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}
