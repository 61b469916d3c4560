//! From octets of a fuzzer to what a peer may send.

use airwrite::smpp::*;
use bytes::{Bytes, BytesMut};

/// Choices taken from the front of a fuzzer's octets; 0 when they are used up.
pub(crate) struct Choices<'a>(pub(crate) &'a [u8]);

impl Choices<'_> {
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn octet(&mut self) -> u8 {
        let Some((octet, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *octet
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        let choice = usize::from(u16::from_be_bytes([self.octet(), self.octet()]));
        if end == 0 { 0 } else { choice % end }
    }

    /// A valid PDU with up to three octets changed, perhaps cut short or with octets behind its end. Its
    /// command_length fits, unless one of the changes fell on it after that.
    pub(crate) fn damaged_pdu(&mut self, samples: &[BytesMut]) -> BytesMut {
        let mut pdu = samples[self.below(samples.len())].clone();
        pdu[15] = self.octet();
        let damage = self.octet();
        match damage >> 6 {
            1 => pdu.truncate(16 + self.below(pdu.len() - 15)),
            2 => pdu.extend_from_slice(&[damage; 5][..usize::from(damage % 6)]),
            _ => {}
        }
        let length = u32::try_from(pdu.len()).unwrap();
        pdu[..4].copy_from_slice(&length.to_be_bytes());
        for _ in 0..damage & 3 {
            // Seldom the header: what it says decides where the next PDU begins.
            let from = if self.octet() == 7 { 0 } else { 16.min(pdu.len() - 1) };
            let at = from + self.below(pdu.len() - from);
            pdu[at] = self.octet();
        }
        pdu
    }
}

/// A valid PDU of every kind.
pub(crate) fn samples() -> Vec<BytesMut> {
    let address = Address::international("491700000001").unwrap();
    let password = Password::new("secret").unwrap();
    let system_id: SystemId = "airwrite".parse().unwrap();
    let tlvs = Tlvs::default()
        .with(tag::RECEIPTED_MESSAGE_ID, b"0af1\0")
        .and_then(|tlvs| tlvs.with(tag::MESSAGE_STATE, &[2]))
        .and_then(|tlvs| tlvs.with(tag::NETWORK_ERROR_CODE, &[3, 0, 0xD4]))
        .unwrap();
    let short_message = ShortMessage::try_from(Bytes::from_static(b"id:0af1 stat:DELIVRD err:000")).unwrap();
    let message_id = || "0af1".parse::<MessageId>().unwrap();
    let sm = Sm { tlvs: tlvs.clone(), ..Sm::submit_ota(address, address, short_message.clone()) };
    let resp = SmResp { message_id: message_id(), tlvs: Tlvs::default() };
    let bind = |mode| Body::Bind(Box::new(Bind::new(mode, system_id, password)));
    let bind_resp = |mode| Body::BindResp(BindResp { mode, system_id, tlvs: Tlvs::default() });
    let failed = UnsuccessSme { address, status: CommandStatus::ESME_RINVDSTADR };
    let destinations =
        vec![Destination::Sme(address), Destination::DistributionList("meters".parse().unwrap())];
    [
        bind(BindMode::Receiver),
        bind(BindMode::Transmitter),
        bind(BindMode::Transceiver),
        bind_resp(BindMode::Receiver),
        bind_resp(BindMode::Transmitter),
        bind_resp(BindMode::Transceiver),
        Body::Outbind(Outbind { system_id, password, tlvs: Tlvs::default() }),
        Body::Unbind,
        Body::UnbindResp,
        Body::EnquireLink,
        Body::EnquireLinkResp,
        Body::SubmitSm(sm.clone()),
        Body::DeliverSm(Sm { esm_class: EsmClass::DELIVERY_RECEIPT, ..sm }),
        Body::SubmitSmResp(resp.clone()),
        Body::DeliverSmResp(SmResp::default()),
        Body::SubmitMulti(SubmitMulti {
            destinations: Destinations::try_from(destinations).unwrap(),
            short_message: short_message.clone(),
            ..SubmitMulti::default()
        }),
        Body::SubmitMultiResp(SubmitMultiResp {
            message_id: message_id(),
            unsuccess_smes: UnsuccessSmes::try_from(vec![failed]).unwrap(),
            tlvs: Tlvs::default(),
        }),
        Body::DataSm(DataSm { source: address.into(), tlvs: tlvs.clone(), ..DataSm::default() }),
        Body::DataSmResp(resp.clone()),
        Body::QuerySm(QuerySm { message_id: message_id(), source: address, tlvs: Tlvs::default() }),
        Body::QuerySmResp(QuerySmResp { message_id: message_id(), ..QuerySmResp::default() }),
        Body::CancelSm(CancelSm { message_id: message_id(), source: address, ..CancelSm::default() }),
        Body::CancelSmResp,
        Body::ReplaceSm(ReplaceSm { message_id: message_id(), short_message, ..ReplaceSm::default() }),
        Body::ReplaceSmResp,
        Body::AlertNotification(AlertNotification {
            source: address.into(),
            tlvs,
            ..AlertNotification::default()
        }),
        Body::BroadcastSm(BroadcastSm { source: address, ..BroadcastSm::default() }),
        Body::BroadcastSmResp(resp.clone()),
        Body::QueryBroadcastSm(QuerySm { message_id: message_id(), ..QuerySm::default() }),
        Body::QueryBroadcastSmResp(resp),
        Body::CancelBroadcastSm(CancelBroadcastSm {
            message_id: message_id(),
            ..CancelBroadcastSm::default()
        }),
        Body::CancelBroadcastSmResp,
        Body::GenericNack,
    ]
    .into_iter()
    .map(|body| {
        let mut octets = BytesMut::new();
        body.encode(CommandStatus::ESME_ROK, 1, &mut octets);
        octets
    })
    .collect()
}
