//! The least terminal that a card needs, in a network that lets subscribers in by authentication: APDUs, no SMPP.

use airwrite::identity::{Imei, Imsi, Msisdn};
use airwrite::ota::comprehension_tlv::{find, put, put_ber, read_all, read_ber, tag, template};
use airwrite::ota::tp::{Deliver, Submit};
use airwrite::sim::CardSpec;
use airwrite::sim::card::{Card, CardReport};
use airwrite::sim::hlr::{Hlr, OperatorSecret};

/// The only terminal of this network.
const THIS: usize = 0;
const USIM: [u8; 7] = [0xA0, 0x00, 0x00, 0x00, 0x87, 0x10, 0x02];
/// Types of proactive commands (TS 102 223 §9.4).
const REFRESH: u8 = 0x01;
const SET_UP_EVENT_LIST: u8 = 0x05;
const SEND_SHORT_MESSAGE: u8 = 0x13;
const PROVIDE_LOCAL_INFORMATION: u8 = 0x26;

/// A message that the card has sent, and the number it had then.
pub(crate) struct Sent {
    pub(crate) from: Msisdn,
    pub(crate) submit: Submit,
}

/// A device, its card, and the register of the network around it.
pub(crate) struct Terminal {
    imei: Imei,
    card: Card,
    hlr: Hlr,
    /// Octets of the proactive command that waits for FETCH.
    announced: Option<u8>,
    sent: Vec<Sent>,
}

impl Terminal {
    /// Switched off. Both subscriptions are provisioned.
    pub(crate) fn new(spec: &CardSpec, subscribers: [(Imsi, Msisdn); 2]) -> Self {
        let secret = OperatorSecret::default();
        let mut hlr = Hlr::new(secret.clone());
        for (imsi, msisdn) in subscribers {
            hlr.provision(imsi, msisdn);
        }
        let card = Card::personalise(spec, secret);
        Self { imei: spec.imei, card, hlr, announced: None, sent: Vec::new() }
    }

    /// Reset, TERMINAL PROFILE, and whatever the card wants; then the network.
    pub(crate) fn switch_on(&mut self) {
        self.hlr.detach(THIS);
        self.announced = None;
        self.card.reset();
        self.command([0x80, 0x10, 0, 0], &[0xFF]);
        self.serve();
        self.attach();
    }

    /// An SMS-DELIVER for the card: ENVELOPE (SMS-PP DOWNLOAD).
    pub(crate) fn download(&mut self, deliver: &Deliver) {
        let mut objects = Vec::new();
        put(&mut objects, tag::DEVICE_IDENTITIES, true, &[0x83, 0x81]);
        put(&mut objects, tag::SMS_TPDU, true, &deliver.encode().unwrap());
        self.envelope(template::SMS_PP_DOWNLOAD, &objects);
        self.serve();
    }

    /// Whether this number reaches the terminal now.
    pub(crate) fn has_number(&self, number: &str) -> bool {
        number.parse().is_ok_and(|number| self.hlr.route(&number) == Some(THIS))
    }

    /// What the card has sent since the last call.
    pub(crate) fn take_sent(&mut self) -> Vec<Sent> {
        std::mem::take(&mut self.sent)
    }

    pub(crate) fn card(&self) -> CardReport {
        self.card.report()
    }

    /// Reads EF.IMSI, lets network and card authenticate each other, and tells the card that there is service.
    fn attach(&mut self) {
        self.command([0x00, 0xA4, 0x04, 0x0C], &USIM);
        self.command([0x00, 0xA4, 0x00, 0x0C], &[0x6F, 0x07]);
        let imsi = Imsi::from_ef(&self.exchange(&[0x00, 0xB0, 0, 0, 9])).unwrap();
        let vector = self.hlr.challenge(&imsi, [7; 16]).expect("a subscriber");
        let challenge = [&[16][..], &vector.rand, &[16], &vector.autn].concat();
        let answer = self.command([0x00, 0x88, 0x00, 0x81], &challenge);
        assert_eq!(answer.get(2..10), Some(vector.xres.as_slice()), "RES of {imsi}");
        self.hlr.attach(imsi, THIS);
        let mut objects = Vec::new();
        put(&mut objects, tag::EVENT_LIST, true, &[0x03]);
        put(&mut objects, tag::DEVICE_IDENTITIES, true, &[0x82, 0x81]);
        put(&mut objects, tag::LOCATION_STATUS, true, &[0x00]);
        self.envelope(template::EVENT_DOWNLOAD, &objects);
        self.serve();
    }

    /// FETCH, perform, TERMINAL RESPONSE, until the card wants nothing more.
    fn serve(&mut self) {
        while let Some(octets) = self.announced.take() {
            let command = self.exchange(&[0x80, 0x12, 0, 0, octets]);
            let (command, _) = read_ber(&command).unwrap();
            let objects = read_all(command.value).unwrap();
            let details = find(&objects, tag::COMMAND_DETAILS).unwrap();
            match (details[1], details[2]) {
                (SET_UP_EVENT_LIST, _) => self.respond(details, &[]),
                (PROVIDE_LOCAL_INFORMATION, 0x01) => self.respond(details, &self.imei.to_mobile_identity()),
                (SEND_SHORT_MESSAGE, _) => {
                    let submit = Submit::parse(find(&objects, tag::SMS_TPDU).unwrap()).unwrap();
                    let imsi = self.hlr.attached_as(THIS).expect("the card sends only with service");
                    let from = self.hlr.msisdn(&imsi).unwrap();
                    self.sent.push(Sent { from, submit });
                    self.respond(details, &[]);
                }
                // UICC reset: the card starts anew instead of getting an answer (TS 102 223 §6.4.7).
                (REFRESH, 0x04) => self.switch_on(),
                other => panic!("proactive command {other:02X?}"),
            }
        }
    }

    /// TERMINAL RESPONSE: performed.
    fn respond(&mut self, details: &[u8], imei: &[u8]) {
        let mut data = Vec::new();
        put(&mut data, tag::COMMAND_DETAILS, true, details);
        put(&mut data, tag::DEVICE_IDENTITIES, true, &[0x82, 0x81]);
        put(&mut data, tag::RESULT, true, &[0x00]);
        if !imei.is_empty() {
            put(&mut data, tag::IMEI, true, imei);
        }
        self.command([0x80, 0x14, 0, 0], &data);
    }

    fn envelope(&mut self, template: u8, objects: &[u8]) {
        let mut data = Vec::new();
        put_ber(&mut data, template, objects);
        self.command([0x80, 0xC2, 0, 0], &data);
    }

    fn command(&mut self, header: [u8; 4], data: &[u8]) -> Vec<u8> {
        let length = u8::try_from(data.len()).unwrap();
        self.exchange(&[&header[..], &[length], data].concat())
    }

    /// One command with its GET RESPONSE. It must succeed; that a proactive command waits is noted.
    fn exchange(&mut self, apdu: &[u8]) -> Vec<u8> {
        let mut answer = self.card.transmit(apdu);
        if let [0x61, octets] = answer[..] {
            answer = self.card.transmit(&[0x00, 0xC0, 0, 0, octets]);
        }
        let status = answer.split_off(answer.len() - 2);
        match status[..] {
            [0x90, 0x00] => {}
            [0x91, octets] => self.announced = Some(octets),
            _ => panic!("{apdu:02X?} is answered {status:02X?}"),
        }
        answer
    }
}
