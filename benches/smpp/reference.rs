//! The octets of an OTA submit_sm, written and read by hand with every mandatory field: what a codec cannot leave out.

use bytes::{BufMut, BytesMut};

/// A PDU's header.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    pub(crate) length: usize,
    pub(crate) command_id: u32,
    pub(crate) status: u32,
    pub(crate) sequence: u32,
}

/// A short message's fields, borrowed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Sm<'a> {
    pub(crate) service_type: &'a [u8],
    pub(crate) source: (u8, u8, &'a [u8]),
    pub(crate) destination: (u8, u8, &'a [u8]),
    pub(crate) esm_class: u8,
    pub(crate) protocol_id: u8,
    pub(crate) priority_flag: u8,
    pub(crate) schedule_delivery_time: &'a [u8],
    pub(crate) validity_period: &'a [u8],
    /// registered_delivery, replace_if_present_flag, data_coding, sm_default_msg_id.
    pub(crate) flags: [u8; 4],
    pub(crate) short_message: &'a [u8],
}

/// 189 octets with its header.
pub(crate) const SUBMIT: Sm<'static> = Sm {
    service_type: b"",
    source: (1, 1, b"49170"),
    destination: (1, 1, b"491700000001"),
    esm_class: 0x40,
    protocol_id: 0x7F,
    priority_flag: 0,
    schedule_delivery_time: b"",
    validity_period: b"",
    flags: [0, 0, 0xF6, 0],
    short_message: &[0x5A; 140],
};

pub(crate) fn put_submit_sm(out: &mut BytesMut, sequence: u32, sm: &Sm<'_>) {
    put(out, 4, sequence, |out| put_sm(out, sm));
}

/// The same message the other way.
pub(crate) fn deliver_sm() -> Vec<u8> {
    let mut out = BytesMut::new();
    put(&mut out, 5, 1, |out| put_sm(out, &SUBMIT));
    out.to_vec()
}

pub(crate) fn put_deliver_sm_resp(out: &mut BytesMut, sequence: u32) {
    put(out, 0x8000_0005, sequence, |out| out.put_u8(0));
}

pub(crate) fn put_bind(out: &mut BytesMut, sequence: u32) {
    put(out, 9, sequence, |out| out.put_slice(b"airwrite\0secret\0\0\x34\0\0\0"));
}

pub(crate) fn read_header(input: &[u8]) -> Option<Header> {
    let field = |at: usize| input.get(at..at + 4)?.try_into().ok().map(u32::from_be_bytes);
    let (command_id, status, sequence) = (field(4)?, field(8)?, field(12)?);
    Some(Header { length: field(0)? as usize, command_id, status, sequence })
}

pub(crate) fn read_sm(mut body: &[u8]) -> Option<Sm<'_>> {
    let rest = &mut body;
    let sm = Sm {
        service_type: c_octet_string(rest, 5)?,
        source: (octet(rest)?, octet(rest)?, c_octet_string(rest, 20)?),
        destination: (octet(rest)?, octet(rest)?, c_octet_string(rest, 20)?),
        esm_class: octet(rest)?,
        protocol_id: octet(rest)?,
        priority_flag: octet(rest)?,
        schedule_delivery_time: c_octet_string(rest, 16)?,
        validity_period: c_octet_string(rest, 16)?,
        flags: [octet(rest)?, octet(rest)?, octet(rest)?, octet(rest)?],
        short_message: {
            let length = octet(rest)?;
            rest.split_off(..usize::from(length))?
        },
    };
    Some(sm)
}

fn put(out: &mut BytesMut, command_id: u32, sequence: u32, body: impl FnOnce(&mut BytesMut)) {
    let start = out.len();
    for field in [0, command_id, 0, sequence] {
        out.put_u32(field);
    }
    body(out);
    let length = (out.len() - start) as u32;
    out[start..start + 4].copy_from_slice(&length.to_be_bytes());
}

fn put_sm(out: &mut BytesMut, sm: &Sm<'_>) {
    put_c_octet_string(out, sm.service_type);
    for (ton, npi, digits) in [sm.source, sm.destination] {
        out.put_slice(&[ton, npi]);
        put_c_octet_string(out, digits);
    }
    out.put_slice(&[sm.esm_class, sm.protocol_id, sm.priority_flag]);
    put_c_octet_string(out, sm.schedule_delivery_time);
    put_c_octet_string(out, sm.validity_period);
    out.put_slice(&sm.flags);
    out.put_u8(sm.short_message.len() as u8);
    out.put_slice(sm.short_message);
}

fn put_c_octet_string(out: &mut BytesMut, text: &[u8]) {
    out.put_slice(text);
    out.put_u8(0);
}

fn octet(rest: &mut &[u8]) -> Option<u8> {
    rest.split_off_first().copied()
}

fn c_octet_string<'a>(rest: &mut &'a [u8], max: usize) -> Option<&'a [u8]> {
    let length = rest.iter().take(max + 1).position(|octet| *octet == 0)?;
    let text = rest.split_off(..length)?;
    octet(rest)?;
    Some(text)
}
