//! Any body: it decodes to something, that encodes to the same, and everything that reads it keeps its feet.

use airwrite::smpp::{Body, Frame, Pdu, SmView, Tlvs, frame, receipt};
use bytes::BytesMut;

use crate::input::{Choices, samples};
use crate::iterations;

const PASSWORD: &[u8] = b"secret";

#[test]
fn body_target() {
    let samples = samples();
    bolero::check!(name = "bodies").with_iterations(iterations()).with_max_len(400).for_each(
        |octets: &[u8]| {
            let mut choices = Choices(octets);
            let pdu = if choices.octet().is_multiple_of(4) {
                // A header of a known kind, and whatever the fuzzer has behind it.
                let mut pdu = samples[choices.below(samples.len())].clone();
                pdu.truncate(16);
                pdu.extend_from_slice(choices.0);
                let length = u32::try_from(pdu.len()).unwrap();
                pdu[..4].copy_from_slice(&length.to_be_bytes());
                pdu
            } else {
                choices.damaged_pdu(&samples)
            };
            let length = pdu.len();
            if let Ok(Some(frame)) = frame::next(&mut BytesMut::from(&pdu[..]), length) {
                check(frame);
            }
        },
    );
}

fn check(frame: Frame) {
    let octets = frame.body.clone();
    let pdu = Pdu::decode(frame);
    let mut again = BytesMut::new();
    pdu.encode(&mut again);
    let frame = frame::next(&mut again, usize::MAX).unwrap().unwrap();
    assert!(again.is_empty());
    let again = Pdu::decode(frame);
    assert_eq!(again, pdu);
    let shown = format!("{pdu:?}");
    match &pdu.body {
        Body::SubmitSm(sm) | Body::DeliverSm(sm) => {
            let view = SmView::decode(&octets).unwrap();
            assert_eq!(view.short_message, &sm.short_message.as_bytes()[..]);
            assert_eq!(view.tlvs().count(), sm.tlvs.iter().count());
            let _ = (receipt::parse(sm), sm.user_data());
            read(&sm.tlvs);
        }
        // Damage may have moved it to another field: that is no password any more.
        Body::Bind(bind) if bind.password.as_bytes() == PASSWORD => {
            assert!(!shown.contains("secret"), "{shown}")
        }
        Body::DataSm(data) => read(&data.tlvs),
        Body::AlertNotification(alert) => {
            let _ = alert.is_available();
        }
        Body::Malformed(raw, error) => {
            assert_eq!(raw.octets, octets);
            assert!(!shown.contains("secret"), "{shown}");
            assert!(!error.to_string().is_empty() && !error.status().is_ok());
        }
        _ => {}
    }
}

/// Every typed reader.
fn read(tlvs: &Tlvs) {
    let _ = (tlvs.message_state(), tlvs.receipted_message_id(), tlvs.network_error_code(), tlvs.segment());
    let _ = (tlvs.congestion_state(), tlvs.ms_availability_status(), tlvs.message_payload());
    let _ = (tlvs.sc_interface_version(), tlvs.additional_status_info_text(), tlvs.delivery_failure_reason());
    let _ = (tlvs.dpf_result(), tlvs.set_dpf(), tlvs.user_message_reference(), tlvs.more_messages_to_send());
}
