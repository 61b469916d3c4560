//! The digits of an identifier, kept in place so that the identifiers stay `Copy`.

use super::IdentityError;

/// At most `N` ASCII symbols. Ordered as text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(super) struct Symbols<const N: usize> {
    /// Padded with NUL, which sorts before every symbol.
    ascii: [u8; N],
    len: usize,
}

impl<const N: usize> Symbols<N> {
    /// Keeps `text`; `None` where it is longer than `N` or not ASCII.
    pub(super) fn new(text: &str) -> Option<Self> {
        let mut ascii = [0; N];
        ascii.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
        text.is_ascii().then_some(Self { ascii, len: text.len() })
    }

    pub(super) fn as_str(&self) -> &str {
        let symbols = self.ascii.get(..self.len).unwrap_or_default();
        str::from_utf8(symbols).unwrap_or_default()
    }
}

/// That all of `text` is decimal digits.
pub(super) fn all_digits(field: &'static str, text: &str) -> Result<(), IdentityError> {
    match text.chars().position(|symbol| !symbol.is_ascii_digit()) {
        None => Ok(()),
        Some(index) => Err(IdentityError::Symbol { field, expected: "a digit", position: index + 1 }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_what_fits_and_orders_as_text() {
        let symbols = |text| Symbols::<4>::new(text).expect("fits");
        assert_eq!(symbols("0123").as_str(), "0123");
        assert_eq!(symbols("").as_str(), "");
        assert!(Symbols::<4>::new("01234").is_none());
        assert!(Symbols::<4>::new("1é").is_none());
        assert!(symbols("12") < symbols("120"));
        assert!(symbols("119") < symbols("12"));
    }
}
