//! Message ids of receipts, brought into the form that the SMSC gave them in submit_sm_resp.

use std::str;

use serde::Deserialize;

use crate::smpp::MessageId;

/// What a receipt's message id is to the one in submit_sm_resp. Leading zeros, blanks around it and the case of letters
/// never count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReceiptId {
    /// The same, or the same number in the other base.
    #[default]
    AsIs,
    /// Decimal, where submit_sm_resp has hexadecimal.
    DecimalToHex,
    /// Hexadecimal, where submit_sm_resp has decimal.
    HexToDecimal,
    /// Nothing: ids are constant or made anew. Receipts count by the number alone, of which at most one packet is under
    /// way at a time.
    None,
}

impl ReceiptId {
    /// A receipt's id as submit_sm_resp had it. What is no number of up to 128 bits stays as it is; empty is "any".
    pub(super) fn in_response(self, id: MessageId) -> MessageId {
        let converted = |radix, write: fn(u128) -> String| {
            let number = u128::from_str_radix(str::from_utf8(id.as_bytes()).ok()?.trim(), radix).ok()?;
            write(number).parse().ok()
        };
        match self {
            Self::AsIs => id,
            Self::DecimalToHex => converted(10, |number| format!("{number:x}")).unwrap_or(id),
            Self::HexToDecimal => converted(16, |number| number.to_string()).unwrap_or(id),
            Self::None => MessageId::EMPTY,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_take_the_form_of_the_response() {
        let convert = |rule: ReceiptId, id: &str| rule.in_response(id.parse().unwrap()).to_string();
        for (rule, receipt, response) in [
            (ReceiptId::AsIs, "004F2", "004F2"),
            (ReceiptId::DecimalToHex, "0000001266", "4f2"),
            (ReceiptId::DecimalToHex, "4F2", "4F2"),
            (ReceiptId::HexToDecimal, "4F2", "1266"),
            (ReceiptId::HexToDecimal, "10", "16"),
            (ReceiptId::HexToDecimal, " 00ff ", "255"),
            (
                ReceiptId::HexToDecimal,
                "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF",
                "340282366920938463463374607431768211455",
            ),
            (ReceiptId::HexToDecimal, "7b1c0d3e-5f70", "7b1c0d3e-5f70"),
            (ReceiptId::HexToDecimal, "", ""),
            (ReceiptId::None, "4F2", ""),
        ] {
            assert_eq!(convert(rule, receipt), response, "{rule:?} {receipt}");
        }
    }
}
