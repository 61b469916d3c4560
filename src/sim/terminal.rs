//! A device: it has an IMEI, drives its card by APDUs, and leaves to the network what it cannot do itself.
//!
//! Without I/O and clock: what it wants of the network it leaves as [`Action`]s; [`crate::sim::operator`] decides when
//! they happen and calls back.

use std::collections::VecDeque;

use crate::identity::{Imei, Imsi};
use crate::ota::comprehension_tlv::{find, put, put_ber, read_all, read_ber, tag, template};
use crate::ota::tp::{DCS_8_BIT_CLASS_2, Deliver, PID_SIM_DATA_DOWNLOAD};
use crate::sim::card::{Card, CardReport};
use crate::sim::hlr::Vector;

/// The AID of a USIM, as far as every card has it in common.
const AID_USIM: [u8; 7] = [0xA0, 0x00, 0x00, 0x00, 0x87, 0x10, 0x02];
/// What the terminal can do (TS 102 223 §5.2): SMS-PP download, proactive commands used here, event download.
const PROFILE: [u8; 9] = [0xFF, 0x6F, 0xFF, 0x1F, 0x21, 0x00, 0x00, 0x00, 0x00];
/// The address of the service centre, as it stands in the ENVELOPE.
const SERVICE_CENTRE: [u8; 7] = [0x91, 0x68, 0x31, 0x08, 0x10, 0x05, 0xF0];
/// PLMN 001/01, location area and cell 1.
const LOCATION: [u8; 7] = [0x00, 0xF1, 0x10, 0x00, 0x01, 0x00, 0x01];
/// Device identities (TS 102 223 §8.7).
const UICC: u8 = 0x81;
const TERMINAL: u8 = 0x82;
const NETWORK: u8 = 0x83;
/// Types of command (TS 102 223 §9.4).
const REFRESH: u8 = 0x01;
const SET_UP_EVENT_LIST: u8 = 0x05;
const SEND_SHORT_MESSAGE: u8 = 0x13;
const PROVIDE_LOCAL_INFORMATION: u8 = 0x26;
/// Results (TS 102 223 §8.12).
const PERFORMED: &[u8] = &[0x00];
const TERMINAL_UNABLE: &[u8] = &[0x20, 0x00];
const NETWORK_UNABLE: &[u8] = &[0x21, 0x00];
const NO_SERVICE: &[u8] = &[0x20, 0x04];
const BEYOND_CAPABILITIES: &[u8] = &[0x30];
const NOT_UNDERSTOOD: &[u8] = &[0x32];
/// Location status (TS 102 223 §8.27).
const STATUS_NORMAL: u8 = 0x00;
const STATUS_NONE: u8 = 0x02;
/// A card that has that many proactive commands in a row is out of its mind.
const FETCHES_MAX: usize = 64;

/// What a terminal wants of the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Action {
    /// To be attached with this IMSI.
    Attach(Imsi),
    /// To have an SMS-SUBMIT taken to the service centre.
    Submit(Vec<u8>),
    /// To be switched off and on again: the card asked for a reset.
    Restart,
}

/// How a message for the card was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Taken {
    /// RP-ACK.
    Acknowledged,
    /// RP-ERROR: the card is busy (TP-FCS D4).
    CardBusy,
    /// RP-ERROR: the card refused it (TP-FCS D5).
    CardError,
    /// There is no terminal switched on.
    NotThere,
}

/// What the card answered to a challenge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Challenged {
    /// RES.
    Response([u8; 8]),
    /// AUTS: the sequence number of the network is behind.
    Synchronise([u8; 14]),
    /// The card does not believe the network.
    Refused,
}

/// A proactive command that is not answered yet: number, type and qualifier.
type CommandDetails = [u8; 3];

/// A terminal with its card.
#[derive(Debug)]
pub(super) struct Terminal {
    imei: Imei,
    card: Card,
    on: bool,
    in_service: bool,
    wants_location: bool,
    /// Octets of the command that the card has announced.
    announced: Option<u8>,
    sending: Option<CommandDetails>,
    refresh_refusals: u32,
    actions: VecDeque<Action>,
}

impl Terminal {
    pub(super) const fn new(imei: Imei, card: Card) -> Self {
        Self {
            imei,
            card,
            on: false,
            in_service: false,
            wants_location: false,
            announced: None,
            sending: None,
            refresh_refusals: 0,
            actions: VecDeque::new(),
        }
    }

    pub(super) const fn imei(&self) -> Imei {
        self.imei
    }

    pub(super) const fn is_on(&self) -> bool {
        self.on
    }

    pub(super) fn card_report(&self) -> CardReport {
        self.card.report()
    }

    /// The next so many REFRESH are refused: the terminal is in a call, so to say.
    pub(super) const fn refuse_refresh(&mut self, times: u32) {
        self.refresh_refusals = times;
    }

    /// What is left to the network.
    pub(super) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Starts the card, tells it what the terminal can do, serves it, and asks to be attached.
    pub(super) fn power_on(&mut self) {
        self.power_off();
        self.on = true;
        self.card.reset();
        let mut profile = vec![0x80, 0x10, 0x00, 0x00, PROFILE.len() as u8];
        profile.extend(PROFILE);
        self.exchange(&profile);
        self.read_identity();
        self.serve();
    }

    /// Whatever is under way is lost, also on the card.
    pub(super) fn power_off(&mut self) {
        self.on = false;
        self.in_service = false;
        self.wants_location = false;
        self.announced = None;
        self.sending = None;
        self.actions.clear();
    }

    /// The regular STATUS, by which the card gets a word in.
    pub(super) fn status(&mut self) {
        self.exchange(&[0x80, 0xF2, 0x00, 0x0C]);
        self.serve();
    }

    /// AUTHENTICATE with a challenge of the network.
    pub(super) fn challenge(&mut self, vector: &Vector) -> Challenged {
        let mut apdu = vec![0x00, 0x88, 0x00, 0x81, 34, 16];
        apdu.extend(vector.rand);
        apdu.push(16);
        apdu.extend(vector.autn);
        let (data, _) = self.exchange(&apdu);
        match data.as_slice() {
            [0xDB, 8, rest @ ..] => {
                rest.first_chunk().map_or(Challenged::Refused, |res| Challenged::Response(*res))
            }
            [0xDC, 14, rest @ ..] => {
                rest.first_chunk().map_or(Challenged::Refused, |auts| Challenged::Synchronise(*auts))
            }
            _ => Challenged::Refused,
        }
    }

    /// Whether there is service now.
    pub(super) fn set_service(&mut self, in_service: bool) {
        let changed = self.in_service != in_service;
        self.in_service = in_service;
        // A card that waits for its service hears also that there is still none.
        if self.wants_location && (changed || !in_service) {
            let mut objects = Vec::new();
            put(&mut objects, tag::EVENT_LIST, true, &[0x03]);
            put(&mut objects, tag::DEVICE_IDENTITIES, true, &[TERMINAL, UICC]);
            put(
                &mut objects,
                tag::LOCATION_STATUS,
                true,
                &[if in_service { STATUS_NORMAL } else { STATUS_NONE }],
            );
            if in_service {
                put(&mut objects, tag::LOCATION_INFORMATION, true, &LOCATION);
            }
            self.envelope(template::EVENT_DOWNLOAD, &objects);
        }
        self.serve();
    }

    /// A message from the service centre: for the card if TP-PID and TP-DCS say so (TS 31.111 §7.1.1), else for the
    /// user, who does not read it.
    pub(super) fn deliver(&mut self, tpdu: &[u8]) -> Taken {
        if !self.on || !self.in_service {
            return Taken::NotThere;
        }
        let for_card = Deliver::parse(tpdu)
            .is_ok_and(|deliver| deliver.pid == PID_SIM_DATA_DOWNLOAD && is_class_2(deliver.dcs));
        if !for_card {
            return Taken::Acknowledged;
        }
        let mut objects = Vec::new();
        put(&mut objects, tag::DEVICE_IDENTITIES, true, &[NETWORK, UICC]);
        put(&mut objects, tag::ADDRESS, false, &SERVICE_CENTRE);
        put(&mut objects, tag::SMS_TPDU, true, tpdu);
        // Data in the answer belong into the SMS-DELIVER-REPORT, and there they end.
        let (_, status) = self.envelope(template::SMS_PP_DOWNLOAD, &objects);
        self.serve();
        match status.to_be_bytes() {
            [0x90 | 0x91, _] => Taken::Acknowledged,
            [0x93, _] => Taken::CardBusy,
            _ => Taken::CardError,
        }
    }

    /// What the network made of the message that the card wanted sent.
    pub(super) fn submitted(&mut self, taken: bool) {
        if let Some(details) = self.sending.take() {
            self.respond(details, if taken { PERFORMED } else { NETWORK_UNABLE }, None);
            self.serve();
        }
    }

    /// Fetches and handles proactive commands until there is none, or one that takes time.
    fn serve(&mut self) {
        for _ in 0..FETCHES_MAX {
            if !self.on || self.sending.is_some() {
                return;
            }
            let Some(octets) = self.announced.take() else { return };
            let (command, _) = self.exchange(&[0x80, 0x12, 0x00, 0x00, octets]);
            self.handle(&command);
        }
    }

    fn handle(&mut self, command: &[u8]) {
        let Some((details, objects)) = proactive(command) else {
            return self.respond([0; 3], NOT_UNDERSTOOD, None);
        };
        let [_, kind, qualifier] = details;
        match (kind, qualifier) {
            (SET_UP_EVENT_LIST, _) => {
                self.wants_location =
                    find(&objects, tag::EVENT_LIST).is_some_and(|events| events.contains(&0x03));
                self.respond(details, PERFORMED, None);
            }
            (PROVIDE_LOCAL_INFORMATION, 0x01) => {
                self.respond(details, PERFORMED, Some((tag::IMEI, &self.imei.to_mobile_identity())));
            }
            (SEND_SHORT_MESSAGE, _) => match find(&objects, tag::SMS_TPDU) {
                Some(tpdu) if self.in_service => {
                    self.sending = Some(details);
                    self.actions.push_back(Action::Submit(tpdu.to_vec()));
                }
                Some(_) => self.respond(details, NO_SERVICE, None),
                None => self.respond(details, NOT_UNDERSTOOD, None),
            },
            (REFRESH, _) if self.refresh_refusals > 0 => {
                self.refresh_refusals -= 1;
                self.respond(details, TERMINAL_UNABLE, None);
            }
            // UICC reset: not answered, the card starts anew (TS 102 223 §6.4.7).
            (REFRESH, 0x04) => {
                self.power_off();
                self.actions.push_back(Action::Restart);
            }
            (REFRESH, _) => {
                self.in_service = false;
                self.respond(details, PERFORMED, None);
                self.read_identity();
            }
            _ => self.respond(details, BEYOND_CAPABILITIES, None),
        }
    }

    fn respond(&mut self, details: CommandDetails, result: &[u8], more: Option<(u16, &[u8])>) {
        let mut data = Vec::new();
        put(&mut data, tag::COMMAND_DETAILS, true, &details);
        put(&mut data, tag::DEVICE_IDENTITIES, true, &[TERMINAL, UICC]);
        put(&mut data, tag::RESULT, true, result);
        if let Some((tag, value)) = more {
            put(&mut data, tag, true, value);
        }
        let mut apdu = vec![0x80, 0x14, 0x00, 0x00, short_length(&data)];
        apdu.extend(data);
        self.exchange(&apdu);
    }

    /// Selects the USIM, reads EF.IMSI and asks to be attached with it. With a blank one there is no service.
    fn read_identity(&mut self) {
        let mut select = vec![0x00, 0xA4, 0x04, 0x0C, AID_USIM.len() as u8];
        select.extend(AID_USIM);
        self.exchange(&select);
        self.exchange(&[0x00, 0xA4, 0x00, 0x0C, 0x02, 0x6F, 0x07]);
        let (octets, _) = self.exchange(&[0x00, 0xB0, 0x00, 0x00, 0x09]);
        if let Ok(imsi) = Imsi::from_ef(&octets) {
            self.actions.push_back(Action::Attach(imsi));
        }
    }

    fn envelope(&mut self, template: u8, objects: &[u8]) -> (Vec<u8>, u16) {
        let mut data = Vec::new();
        put_ber(&mut data, template, objects);
        let mut apdu = vec![0x80, 0xC2, 0x00, 0x00, short_length(&data)];
        apdu.extend(data);
        self.exchange(&apdu)
    }

    /// One command with what belongs to it: GET RESPONSE after 61xx, the right length after 6Cxx. Gives the data and
    /// the last status; 91xx is noted.
    fn exchange(&mut self, apdu: &[u8]) -> (Vec<u8>, u16) {
        let (mut data, mut status) = self.transmit(apdu);
        if let [0x61, octets] = status.to_be_bytes() {
            (data, status) = self.transmit(&[0x00, 0xC0, 0x00, 0x00, octets]);
        } else if let ([0x6C, octets], Some((_, header))) = (status.to_be_bytes(), apdu.split_last()) {
            let again = [header, &[octets]].concat();
            (data, status) = self.transmit(&again);
        }
        if let [0x91, octets] = status.to_be_bytes() {
            self.announced = Some(octets);
        }
        (data, status)
    }

    fn transmit(&mut self, apdu: &[u8]) -> (Vec<u8>, u16) {
        let mut answer = self.card.transmit(apdu);
        let low = answer.pop().unwrap_or_default();
        let high = answer.pop().unwrap_or_default();
        (answer, u16::from_be_bytes([high, low]))
    }
}

/// Command details and data objects of a proactive command.
fn proactive(
    command: &[u8],
) -> Option<(CommandDetails, Vec<crate::ota::comprehension_tlv::ComprehensionTlv<'_>>)> {
    let (command, _) = read_ber(command).ok()?;
    let objects = read_all(command.value).ok()?;
    let details = find(&objects, tag::COMMAND_DETAILS)?.try_into().ok()?;
    (command.tag == template::PROACTIVE_COMMAND).then_some((details, objects))
}

/// Message class 2 (TS 23.038 §4): the forms that operators use.
const fn is_class_2(dcs: u8) -> bool {
    matches!(dcs, DCS_8_BIT_CLASS_2 | 0x16)
}

/// Lc of data that fit an APDU by construction: a TPDU has at most 165 octets.
fn short_length(data: &[u8]) -> u8 {
    u8::try_from(data.len()).unwrap_or(u8::MAX)
}
