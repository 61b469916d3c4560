//! The words of an on-site tool: sealed parts as APDUs and `AT+CSIM` lines, and response packets found in what the card
//! answered (3GPP TS 31.111 §7.1.1, TS 27.007 §8.17, ETSI TS 102 221 §11.2.2).

use crate::ota::comprehension_tlv::device::{NETWORK, UICC};
use crate::ota::comprehension_tlv::{put, put_ber, tag, template};
use crate::ota::tp::{DCS_8_BIT_CLASS_2, Deliver, PID_SIM_DATA_DOWNLOAD, TpAddress, TpError, time_stamp};

/// ENVELOPE (ETSI TS 102 221 §11.2.2): CLA, INS, P1, P2.
const ENVELOPE: [u8; 4] = [0x80, 0xC2, 0x00, 0x00];

/// GET RESPONSE without its Le, as hexadecimal digits: `61xx` and, where that came with a wrong Le, `6Cxx`
/// are followed by these and then `xx`.
pub(super) const GET_RESPONSE: &str = "00C00000";

/// What stands before a response packet in the answer to an ENVELOPE: the user data header that names it (TS
/// 31.115 §4.4).
const RESPONSE_HEADER: [u8; 3] = [0x02, 0x71, 0x00];

/// SW1 of an answer that goes on in the next GET RESPONSE.
const MORE: u8 = 0x61;

/// The ENVELOPE (SMS-PP download) that brings one part to the card: `80 C2 00 00 Lc D1 …`, without Le.
///
/// `user_data` is the whole TP-UD with its header, `sealed_at` (unix ms) becomes TP-SCTS and `originator` TP-OA: the same
/// three give the same octets.
///
/// # Errors
/// [`TpError::UserDataTooLong`] above 140 octets of user data.
pub(super) fn envelope(user_data: &[u8], originator: &TpAddress, sealed_at: u64) -> Result<Vec<u8>, TpError> {
    let deliver = Deliver {
        more_messages: false,
        udhi: true,
        originator: originator.clone(),
        pid: PID_SIM_DATA_DOWNLOAD,
        dcs: DCS_8_BIT_CLASS_2,
        time_stamp: time_stamp(sealed_at),
        user_data: user_data.to_vec(),
    };
    let mut objects = Vec::new();
    put(&mut objects, tag::DEVICE_IDENTITIES, true, &[NETWORK, UICC]);
    // The service centre: whoever sends to the card on site speaks for it.
    let address = [&[originator.type_of_address()], originator.octets()].concat();
    put(&mut objects, tag::ADDRESS, false, &address);
    put(&mut objects, tag::SMS_TPDU, true, &deliver.encode()?);
    let mut data = Vec::new();
    put_ber(&mut data, template::SMS_PP_DOWNLOAD, &objects);
    let mut apdu = ENVELOPE.to_vec();
    // An SMS-DELIVER has at most 164 octets, so that all of it stays below 255.
    let length = u8::try_from(data.len()).map_err(|_| TpError::UserDataTooLong(user_data.len()))?;
    apdu.push(length);
    apdu.extend(data);
    Ok(apdu)
}

/// The line that has a modem hand an APDU to its card: `AT+CSIM=<digits>,"<hexadecimal digits>"`.
pub(super) fn at_line(apdu: &[u8]) -> String {
    format!("AT+CSIM={},\"{}\"", 2 * apdu.len(), hex::encode_upper(apdu))
}

/// What may be response packets (from RPL on) in R-APDUs, in their order: each is data before the two octets of SW1 SW2,
/// with or without `02 71 00` before it. Whatever the status is, and data that goes on after `61xx` is put together.
pub(super) fn response_packets<'a>(rapdus: impl Iterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    let mut data = Vec::new();
    for rapdu in rapdus {
        let Some((part, [sw1, _])) = rapdu.split_last_chunk::<2>() else { continue };
        data.extend_from_slice(part);
        if *sw1 == MORE && !part.is_empty() {
            continue;
        }
        let whole = std::mem::take(&mut data);
        let packet = whole.strip_prefix(&RESPONSE_HEADER).unwrap_or(&whole);
        if is_packet(packet) {
            packets.push(packet.to_vec());
        }
    }
    packets
}

/// Whether RPL counts what follows it.
fn is_packet(octets: &[u8]) -> bool {
    octets
        .split_first_chunk::<2>()
        .is_some_and(|(rpl, rest)| !rest.is_empty() && usize::from(u16::from_be_bytes(*rpl)) == rest.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ota::comprehension_tlv::{find, read_all, read_ber};

    fn originator() -> TpAddress {
        TpAddress::new(TpAddress::UNKNOWN, "10690").unwrap()
    }

    #[test]
    fn an_envelope_octet_by_octet() {
        // 2027-01-15 08:00:00 UTC.
        let apdu = envelope(&[2, 0x70, 0, 1, 2, 3], &originator(), 1_800_000_000_000).unwrap();
        assert_eq!(
            hex::encode(&apdu),
            [
                "80c2000024",         // ENVELOPE, Lc
                "d122",               // SMS-PP download
                "82028381",           // from the network to the card
                "0604810196f0",       // address
                "8b16",               // SMS TPDU
                "44058101 96f0 7ff6", // SMS-DELIVER, UDHI, no more; TP-OA; TP-PID, TP-DCS
                "72105180000000",     // TP-SCTS
                "06027000010203",     // TP-UDL, TP-UD
            ]
            .concat()
            .replace(' ', "")
        );
        assert_eq!(at_line(&apdu[..5]), "AT+CSIM=10,\"80C2000024\"");
    }

    #[test]
    fn a_full_part_has_lengths_of_two_octets() {
        let apdu = envelope(&[7; 140], &originator(), 0).unwrap();
        assert_eq!(usize::from(apdu[4]), apdu.len() - 5);
        assert_eq!(&apdu[5..7], [0xD1, 0x81]);
        let (template, rest) = read_ber(&apdu[5..]).unwrap();
        assert!(rest.is_empty());
        let objects = read_all(template.value).unwrap();
        let deliver = Deliver::parse(find(&objects, tag::SMS_TPDU).unwrap()).unwrap();
        assert_eq!(deliver.user_data, [7; 140]);
        assert_eq!(envelope(&[7; 141], &originator(), 0), Err(TpError::UserDataTooLong(141)));
    }

    #[test]
    fn packets_are_found_under_every_status() {
        let packet = [0, 5, 10, 1, 2, 3, 4];
        for status in [[0x90, 0x00], [0x91, 0x0B], [0x9F, 0x07], [0x62, 0x00], [0x6F, 0x00]] {
            let headed = [&RESPONSE_HEADER, &packet[..], &status].concat();
            let bare = [&packet[..], &status].concat();
            let answers: [&[u8]; 4] = [&[0x61, 0x0A], &headed, &bare, &[0x93, 0x00]];
            assert_eq!(response_packets(answers.into_iter()), [packet, packet], "{status:02X?}");
        }
        let halves: [&[u8]; 3] = [&[2, 0x71, 0, 0, 5, 0x61, 0x05], &[10, 1, 2, 3, 4, 0x90, 0], &[0x90, 0]];
        assert_eq!(response_packets(halves.into_iter()), [packet]);
        let none: [&[u8]; 5] = [&[], &[0x90], &[0x90, 0], &[1, 2, 3, 0x90, 0], &[0, 0, 0x90, 0]];
        assert!(response_packets(none.into_iter()).is_empty());
    }
}
