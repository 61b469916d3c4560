//! Card files whose columns are enciphered, as pySim's card key provider has it (after GSMA FS.28): every value of a column
//! is AES-CBC under the column's transport key, the octets of the initial value all 23, without padding. Nothing in
//! the file tells an enciphered column from a clear one, and nothing tells a wrong transport key.

use std::collections::BTreeMap;
use std::fmt;

use aes::{Aes128, Aes192, Aes256};
use cbc::Decryptor;
use cbc::cipher::block_padding::NoPadding;
use cbc::cipher::{BlockCipherDecrypt, BlockModeDecrypt, InnerIvInit, KeyInit};
use zeroize::Zeroizing;

use super::columns::{Column, is_elsewhere};

/// Octets of an AES block.
const BLOCK_LEN: usize = 16;

/// The initial value of every enciphered value.
const INITIAL_VALUE: [u8; BLOCK_LEN] = [0x23; BLOCK_LEN];

/// The transport keys of a card file's enciphered columns. Shows none of them and wipes them.
#[derive(Default)]
pub struct ColumnKeys(BTreeMap<Column, Zeroizing<Vec<u8>>>);

/// Transport keys that cannot be used. Never repeats what may be a key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {expected}")]
pub struct ColumnKeysError {
    /// The line, from 1.
    pub line: usize,
    /// What was expected there.
    pub expected: String,
}

impl ColumnKeys {
    /// Reads transport keys, one a line: `KIC1:000102030405060708090A0B0C0D0E0F`, with 16, 24 or 32 octets. The names are
    /// those of columns with keys. Keys of columns that card files may have and that are not read, and of pySim's groups
    /// of such columns (`UICC_SCP03`), are passed over. Empty lines and lines that begin with `#` say nothing.
    ///
    /// # Errors
    /// [`ColumnKeysError`] says in which line what was expected.
    pub fn parse(text: &str) -> Result<Self, ColumnKeysError> {
        let mut keys = BTreeMap::new();
        for (line, number) in text.trim_start_matches('\u{feff}').lines().zip(1..) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let (column, key) = one(line).map_err(|expected| ColumnKeysError { line: number, expected })?;
            let Some(column) = column else { continue };
            if keys.insert(column, key).is_some() {
                let expected = format!("expected one key for {column}");
                return Err(ColumnKeysError { line: number, expected });
            }
        }
        Ok(Self(keys))
    }

    /// Whether there is a key for this column.
    pub(super) fn has(&self, column: Column) -> bool {
        self.0.contains_key(&column)
    }

    /// Deciphers a value of `column` where it lies; clear ones stay.
    pub(super) fn decipher(&self, column: Column, octets: &mut [u8]) -> Result<(), String> {
        let Some(key) = self.0.get(&column) else { return Ok(()) };
        let found = octets.len();
        let deciphered = match key.len() {
            16 => cbc_decrypt::<Aes128>(key, octets),
            24 => cbc_decrypt::<Aes192>(key, octets),
            _ => cbc_decrypt::<Aes256>(key, octets),
        };
        deciphered.ok_or_else(|| {
            format!("expected whole blocks of {BLOCK_LEN} octets, enciphered under the column key; found {found} octets")
        })
    }
}

impl fmt::Debug for ColumnKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys().map(ToString::to_string)).finish()
    }
}

/// Column and key of a line; no column where it is one that is not read.
fn one(line: &str) -> Result<(Option<Column>, Zeroizing<Vec<u8>>), String> {
    let (name, key) = line.split_once(':').ok_or("expected COLUMN:KEY")?;
    let name = name.trim().to_ascii_uppercase();
    let column = match Column::of_name(&name) {
        Some(column) if column.is_key() => Some(column),
        None if is_elsewhere(&name) => None,
        _ => return Err("expected a column with keys (KIC1, KID1, KIK1, …) before the colon".to_owned()),
    };
    // The decoder's own error repeats what stands there.
    let key = hex::decode(key.trim()).map(Zeroizing::new);
    let key = key.map_err(|_| "expected a key in hexadecimal digits, two for each octet")?;
    if ![16, 24, 32].contains(&key.len()) {
        return Err(format!("expected a key of 16, 24 or 32 octets, found {}", key.len()));
    }
    Ok((column, key))
}

/// Deciphers in place. `None` where these are no whole blocks.
fn cbc_decrypt<C: BlockCipherDecrypt + KeyInit>(key: &[u8], octets: &mut [u8]) -> Option<()>
where
    Decryptor<C>: InnerIvInit<Inner = C> + BlockModeDecrypt,
{
    let cipher = C::new_from_slice(key).ok()?;
    let cbc = Decryptor::<C>::inner_iv_slice_init(cipher, &INITIAL_VALUE).ok()?;
    cbc.decrypt_padded::<NoPadding>(octets).ok().map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// pySim's own unit tests encipher these octets to these (`tests/unittests/test_card_key_provider.py`, OPC and
    /// UICC_SCP03); `openssl enc -aes-128-cbc -K … -iv 23…23 -nopad` agrees.
    #[test]
    fn deciphers_what_pysim_enciphers() {
        let clear = *b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f";
        for (key, enciphered) in [
            ("000102030405065545645645645D0E0F", "0b1e1e56cd62645aeb4c2d72a7c98f27"),
            ("00040267840507667609045645645E0F", "00248276d2734f108f9761e2f98e2a9d"),
        ] {
            let keys = ColumnKeys::parse(&format!("kic1:{key}")).unwrap();
            let mut octets = hex::decode(enciphered).unwrap();
            keys.decipher(Column::Kic(1), &mut octets).unwrap();
            assert_eq!(octets, clear);
            keys.decipher(Column::Kid(1), &mut octets).unwrap();
            assert_eq!(octets, clear, "a column without a key stays");
        }
    }

    #[test]
    fn lines_say_column_and_key() {
        let key = "00".repeat(24);
        let text = format!(
            "\u{feff}# delivery 7\r\n\r\n KIC : {key} \r\nKid2:{key}\r\nUICC_SCP03:{key}\r\nadm1:{key}\r\n"
        );
        let keys = ColumnKeys::parse(&text).unwrap();
        assert_eq!(format!("{keys:?}"), r#"{"KIC1", "KID2"}"#);
        assert!(keys.has(Column::Kic(1)) && !keys.has(Column::Kid(1)));
    }

    #[test]
    fn errors_say_line_and_what_was_expected_and_no_key() {
        let key = "0123456789abcdef0123456789abcdef";
        for (text, expected) in [
            (key.to_owned(), "line 1: expected COLUMN:KEY"),
            (
                format!("\nKCI1:{key}"),
                "line 2: expected a column with keys (KIC1, KID1, KIK1, …) before the colon",
            ),
            (
                format!("EID:{key}"),
                "line 1: expected a column with keys (KIC1, KID1, KIK1, …) before the colon",
            ),
            (
                format!("{key}:KIC1"),
                "line 1: expected a column with keys (KIC1, KID1, KIK1, …) before the colon",
            ),
            ("KIC1:0x01".to_owned(), "line 1: expected a key in hexadecimal digits, two for each octet"),
            (format!("KIC1:{key}00"), "line 1: expected a key of 16, 24 or 32 octets, found 17"),
            (format!("KIC1:{key}\nkic1:{key}"), "line 2: expected one key for KIC1"),
            (format!("KIC:{key}\nkic1:{key}"), "line 2: expected one key for KIC1"),
        ] {
            assert_eq!(ColumnKeys::parse(&text).unwrap_err().to_string(), expected);
        }
    }

    #[test]
    fn half_blocks_are_refused() {
        let keys = ColumnKeys::parse("KIC1:000102030405060708090a0b0c0d0e0f").unwrap();
        let error = keys.decipher(Column::Kic(1), &mut [0; 24]).unwrap_err();
        assert!(error.ends_with("found 24 octets"), "{error}");
    }
}
