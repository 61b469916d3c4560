//! Values written as text: octets in hexadecimal digits, and names.

use serde::{Deserialize, Deserializer, de};

use crate::applet::Refresh;
use crate::ota::{Algorithm, Spi1, Spi2, Tar};

fn hex_octets<'de, D: Deserializer<'de>, const N: usize>(deserializer: D) -> Result<[u8; N], D::Error> {
    let text = String::deserialize(deserializer)?;
    let mut octets = [0; N];
    hex::decode_to_slice(&text, &mut octets)
        .map_err(|_| de::Error::custom(format!("expected {} hexadecimal digits in quotes", 2 * N)))?;
    Ok(octets)
}

fn octet<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u8, D::Error> {
    hex_octets::<D, 1>(deserializer).map(|[octet]| octet)
}

pub(super) fn tar<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Tar, D::Error> {
    hex_octets::<D, 3>(deserializer).map(Tar)
}

/// A TAR that is there; with `#[serde(default)]`, `None` where the key is missing.
pub(super) fn some_tar<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Tar>, D::Error> {
    tar(deserializer).map(Some)
}

pub(super) fn spi1<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Spi1, D::Error> {
    octet(deserializer).map(Spi1)
}

pub(super) fn spi2<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Spi2, D::Error> {
    octet(deserializer).map(Spi2)
}

/// The names of algorithms.
pub(super) fn algorithms<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Algorithm>, D::Error> {
    let names = Vec::<String>::deserialize(deserializer)?;
    names.iter().map(|name| name.parse().map_err(de::Error::custom)).collect()
}

/// `"none"`, or the qualifier of a REFRESH.
pub(super) fn refresh<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Refresh>, D::Error> {
    let text = String::deserialize(deserializer)?;
    if text == "none" {
        return Ok(None);
    }
    let qualifier = u8::from_str_radix(&text, 16).ok().filter(|_| text.len() == 2);
    qualifier.and_then(Refresh::of_qualifier).map(Some).ok_or_else(|| {
        de::Error::custom("expected \"04\" (UICC reset), \"05\" (NAA application reset) or \"none\"")
    })
}
