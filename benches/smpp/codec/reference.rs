//! What the octets of a submit_sm cost at the least: every mandatory field read and checked, nothing else done.

use bytes::{BufMut, BytesMut};

/// A submit_sm without optional parameters.
pub(crate) struct SubmitSm<'a> {
    command_status: u32,
    pub(crate) sequence_number: u32,
    service_type: &'a [u8],
    source_addr: Address<'a>,
    destination_addr: Address<'a>,
    esm_class: u8,
    protocol_id: u8,
    priority_flag: u8,
    schedule_delivery_time: &'a [u8],
    validity_period: &'a [u8],
    registered_delivery: u8,
    replace_if_present_flag: u8,
    data_coding: u8,
    sm_default_msg_id: u8,
    pub(crate) short_message: &'a [u8],
}

/// TON, NPI, digits.
type Address<'a> = (u8, u8, &'a [u8]);

const SUBMIT_SM: u32 = 4;

/// Reads one whole PDU; `None` where a length or a field is wrong.
pub(crate) fn decode(pdu: &[u8]) -> Option<SubmitSm<'_>> {
    decode_as(SUBMIT_SM, pdu)
}

/// The same of a PDU with this command id: deliver_sm has the same fields.
pub(crate) fn decode_as(expected: u32, pdu: &[u8]) -> Option<SubmitSm<'_>> {
    let (length, rest) = integer(pdu)?;
    let (command_id, rest) = integer(rest)?;
    let (command_status, rest) = integer(rest)?;
    let (sequence_number, rest) = integer(rest)?;
    if length as usize != pdu.len() || command_id != expected {
        return None;
    }
    let (service_type, rest) = c_octet_string(rest, 6)?;
    let (source_addr, rest) = address(rest)?;
    let (destination_addr, rest) = address(rest)?;
    let (&[esm_class, protocol_id, priority_flag], rest) = rest.split_first_chunk()?;
    let (schedule_delivery_time, rest) = c_octet_string(rest, 17)?;
    let (validity_period, rest) = c_octet_string(rest, 17)?;
    let (&[registered_delivery, replace_if_present_flag, data_coding, sm_default_msg_id, sm_length], rest) =
        rest.split_first_chunk()?;
    let short_message = rest.get(..usize::from(sm_length))?;
    Some(SubmitSm {
        command_status,
        sequence_number,
        service_type,
        source_addr,
        destination_addr,
        esm_class,
        protocol_id,
        priority_flag,
        schedule_delivery_time,
        validity_period,
        registered_delivery,
        replace_if_present_flag,
        data_coding,
        sm_default_msg_id,
        short_message,
    })
}

/// Appends it to `out`.
pub(crate) fn encode(sm: &SubmitSm<'_>, out: &mut BytesMut) {
    let start = out.len();
    out.put_u32(0);
    out.put_u32(SUBMIT_SM);
    out.put_u32(sm.command_status);
    out.put_u32(sm.sequence_number);
    put_c_octet_string(out, sm.service_type);
    for (ton, npi, digits) in [sm.source_addr, sm.destination_addr] {
        out.put_slice(&[ton, npi]);
        put_c_octet_string(out, digits);
    }
    out.put_slice(&[sm.esm_class, sm.protocol_id, sm.priority_flag]);
    put_c_octet_string(out, sm.schedule_delivery_time);
    put_c_octet_string(out, sm.validity_period);
    out.put_slice(&[
        sm.registered_delivery,
        sm.replace_if_present_flag,
        sm.data_coding,
        sm.sm_default_msg_id,
        sm.short_message.len() as u8,
    ]);
    out.put_slice(sm.short_message);
    let length = (out.len() - start) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

fn integer(octets: &[u8]) -> Option<(u32, &[u8])> {
    let (integer, rest) = octets.split_first_chunk()?;
    Some((u32::from_be_bytes(*integer), rest))
}

fn address(octets: &[u8]) -> Option<(Address<'_>, &[u8])> {
    let (&[ton, npi], rest) = octets.split_first_chunk()?;
    let (digits, rest) = c_octet_string(rest, 21)?;
    Some(((ton, npi, digits), rest))
}

/// A C-Octet String of at most `max` octets, its NUL among them.
fn c_octet_string(octets: &[u8], max: usize) -> Option<(&[u8], &[u8])> {
    let end = octets.iter().take(max).position(|octet| *octet == 0)?;
    Some((&octets[..end], &octets[end + 1..]))
}

fn put_c_octet_string(out: &mut BytesMut, text: &[u8]) {
    out.put_slice(text);
    out.put_u8(0);
}
