//! Tag, length, value: what BER-TLV, COMPREHENSION-TLV and DER have in common (TS 101 220 §7.1).

use super::node::{Node, Span};

/// A data object with a tag of one octet, or of three where the first is 7F.
pub(super) struct Tlv<'a> {
    /// The first octet of the tag.
    pub(super) tag: u8,
    /// Tag, length and value.
    pub(super) whole: Span<'a>,
    /// The value.
    pub(super) value: Span<'a>,
}

/// Takes the first data object off; the error says what is wrong with it. The indefinite form is no length here.
pub(super) fn split(span: Span<'_>) -> Result<(Tlv<'_>, Span<'_>), String> {
    let tag = span.first().ok_or("expected a tag")?;
    let tag_len = if tag == 0x7F { 3 } else { 1 };
    let behind_tag = span.behind(tag_len);
    let first = behind_tag.first().ok_or("ends before its length")?;
    let length_len = match first {
        0x00..=0x7F => 1,
        0x81..=0x83 => usize::from(first & 0x0F) + 1,
        _ => return Err(format!("{first:02X} begins no length")),
    };
    let (length, behind) = behind_tag.split(length_len).ok_or("ends within its length")?;
    let len = match length.octets {
        [len] => usize::from(*len),
        [_, octets @ ..] => octets.iter().fold(0, |len, octet| len << 8 | usize::from(*octet)),
        [] => 0,
    };
    let found = behind.len();
    let (value, behind) = behind.split(len).ok_or(format!("its length is {len}, found {found}"))?;
    let whole = span.before(tag_len + length_len + len);
    Ok((Tlv { tag, whole, value }, behind))
}

/// The data objects that `span` consists of, each as `describe` shows it, up to the first that is malformed.
pub(super) fn all<'a>(span: Span<'a>, mut describe: impl FnMut(Tlv<'a>) -> Node) -> Vec<Node> {
    let (mut rest, mut nodes) = (span, Vec::new());
    while !rest.is_empty() {
        match split(rest) {
            Ok((tlv, behind)) => {
                nodes.push(describe(tlv));
                rest = behind;
            }
            Err(problem) => {
                nodes.push(Node::of("data object", rest).problem(problem));
                break;
            }
        }
    }
    nodes
}
