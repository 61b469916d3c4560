//! The check digit of IMEI (TS 23.003 annex B) and ICCID (ISO/IEC 7812-1): the Luhn formula.

/// The check digit, 0 to 9, that follows these decimal digits. `None` where one is no digit.
pub(super) fn check_digit(digits: &str) -> Option<u8> {
    let mut sum = 0;
    for (index, symbol) in digits.chars().rev().enumerate() {
        let digit = symbol.to_digit(10)?;
        // The digit next to the check digit is the first to be doubled; the digits of the product are added.
        let doubled = if index % 2 == 0 { 2 * digit } else { digit };
        sum = (sum + doubled / 10 + doubled % 10) % 10;
    }
    u8::try_from((10 - sum) % 10).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_check_digits() {
        assert_eq!(check_digit("35780502398494"), Some(2));
        assert_eq!(check_digit("49015420323751"), Some(8), "the IMEI of TS 23.003's readers");
        assert_eq!(check_digit("44444444444447"), Some(9));
        assert_eq!(check_digit(""), Some(0));
        assert_eq!(check_digit("12a"), None);
    }
}
