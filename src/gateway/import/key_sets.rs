//! The keys of a line: numbers, algorithm, values, and the counters' floors.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use super::KeySetRow;
use super::columns::{Column, KVN_MAX};
use super::rows::{Line, Reading};
use crate::card::{Profile, Scope};
use crate::ota::{Algorithm, Cntr, Key, KeySet};

/// Octets of the CC where the column CMAC_LEN says nothing.
const CC_LEN: u8 = 8;

/// What is said of weak keys.
const WEAK: &str = "a weak key: all zero, equal parts, or known as weak for DES";

impl Reading<'_> {
    /// The number of the key set that the card is spoken to with, and all its key sets.
    pub(super) fn keys(&mut self, line: &Line<'_>, profile: Option<&Profile>) -> (u8, Vec<KeySetRow>) {
        let kvn = self
            .parsed(line, Column::Kvn, |text| {
                text.parse().ok().filter(|kvn| (1..=KVN_MAX).contains(kvn)).ok_or("expected 1 to 15")
            })
            .or(profile.map(|profile| profile.mt.kvn))
            .unwrap_or(1);
        let algorithm = self.algorithm(line, profile);
        let cc_len = self.parsed(line, Column::CmacLen, |text| match text {
            "8" => Ok(8),
            "4" => Ok(4),
            _ => Err("expected 8 or 4"),
        });
        let Some(algorithm) = algorithm else { return (kvn, Vec::new()) };
        let cc_len = cc_len.unwrap_or(CC_LEN);
        let mut sets = Vec::new();
        let mut weak = Vec::new();
        let several = line.columns.several_key_sets();
        for index in 1..=if several { KVN_MAX } else { 1 } {
            let number = if several { index } else { kvn };
            let columns = [Column::Kic(index), Column::Kid(index), Column::Kik(index)];
            if number == kvn || columns.iter().any(|column| line.text(*column).is_some()) {
                let keys = self.key_set(line, columns, number, algorithm, cc_len);
                weak.extend(keys.iter().flat_map(|keys| weak_keys(keys, columns)));
                sets.extend(keys);
            }
        }
        if !weak.is_empty() {
            self.weak += 1;
            let columns: Vec<_> = weak.iter().map(ToString::to_string).collect();
            self.warnings.add(line.number, columns.join(", "), WEAK);
        }
        (kvn, sets)
    }

    fn algorithm(&mut self, line: &Line<'_>, profile: Option<&Profile>) -> Option<Algorithm> {
        let said = self.parsed(line, Column::Alg, str::parse::<Algorithm>);
        if said.is_none() && line.text(Column::Alg).is_some() {
            return None;
        }
        let allowed = profile.map(|profile| profile.mt.algorithms.as_slice()).unwrap_or_default();
        let only = match allowed {
            [only] => Some(*only),
            _ => None,
        };
        let Some(algorithm) = said.or(self.terms.algorithm).or(only) else {
            self.required(line, Column::Alg, "aes, 3des2, 3des3 or des");
            return None;
        };
        if let Some(profile) = profile.filter(|_| !allowed.contains(&algorithm)) {
            let names: Vec<_> = allowed.iter().map(ToString::to_string).collect();
            let expected = format!("expected what the profile {} allows: {}", profile.name, names.join(", "));
            self.errors.add(line.number, Column::Alg, expected);
            return None;
        }
        Some(algorithm)
    }

    /// The key set `number` in these columns.
    fn key_set(
        &mut self,
        line: &Line<'_>,
        [kic, kid, kik]: [Column; 3],
        number: u8,
        algorithm: Algorithm,
        cc_len: u8,
    ) -> Option<KeySetRow> {
        self.required(line, kic, "a key in hexadecimal digits");
        self.required(line, kid, "a key in hexadecimal digits");
        let kic = self.key(line, kic, algorithm);
        let kid = self.key(line, kid, algorithm);
        let kik = self.key(line, kik, algorithm);
        let (kic, kic_octets) = kic?;
        let (kid, kid_octets) = kid?;
        if let Err(error) = KeySet::new(number, kic, kid, cc_len) {
            self.errors.add(line.number, Column::CmacLen, error.to_string());
            return None;
        }
        Some(KeySetRow {
            kvn: number,
            algorithm,
            cc_len,
            kic: kic_octets,
            kid: kid_octets,
            kik: kik.map(|(_, octets)| octets),
        })
    }

    fn key(
        &mut self,
        line: &Line<'_>,
        column: Column,
        algorithm: Algorithm,
    ) -> Option<(Key, Zeroizing<Vec<u8>>)> {
        let column_keys = self.terms.column_keys;
        self.parsed(line, column, |text| {
            let mut octets = Zeroizing::new(hex::decode(text).map_err(|_| {
                // The decoder's own error repeats what stands there.
                "expected a key in hexadecimal digits, two for each octet".to_owned()
            })?);
            if let Some(keys) = column_keys {
                keys.decipher(column, &mut octets)?;
            }
            let key = Key::new(algorithm, &octets).map_err(|error| error.to_string())?;
            Ok::<_, String>((key, octets))
        })
    }

    /// Scope and least CNTR of each counter that the line gives a floor to.
    pub(super) fn floors(&mut self, line: &Line<'_>, profile: &Profile, kvn: u8) -> Vec<(String, u64)> {
        let own = profile.scope(kvn);
        let mut floors = BTreeMap::new();
        // In this order the column of one TAR overrides the general one.
        for column in line.columns.floors() {
            let Some(floor) = self.parsed(line, column, floor) else { continue };
            match column {
                Column::CntrFloorOf(_) if profile.mt.scope != Scope::Tar => {
                    let expected =
                        format!("expected nothing: the profile {} has no counters by TAR", profile.name);
                    self.errors.add(line.number, column, expected);
                }
                Column::CntrFloorOf(tar) => {
                    floors.insert(format!("tar:{tar}"), floor);
                }
                _ => {
                    floors.insert(own.clone(), floor);
                }
            }
        }
        floors.into_iter().collect()
    }
}

/// The columns of a key set that hold weak keys.
fn weak_keys(keys: &KeySetRow, [kic, kid, kik]: [Column; 3]) -> impl Iterator<Item = Column> {
    let is_weak = |octets: &[u8]| Key::new(keys.algorithm, octets).is_ok_and(|key| key.is_weak());
    let all = [(kic, Some(&keys.kic)), (kid, Some(&keys.kid)), (kik, keys.kik.as_ref())];
    all.into_iter().filter(move |(_, key)| key.is_some_and(|key| is_weak(key))).map(|(column, _)| column)
}

/// The least CNTR to use next: FFFFFFFFFF itself is never used.
fn floor(text: &str) -> Result<u64, String> {
    let most = Cntr::MAX.get() - 1;
    let floor = text.parse().ok().filter(|floor| *floor <= most);
    floor.ok_or_else(|| format!("expected a number up to {most}"))
}
