//! A device: it has an IMEI, drives its card by APDUs, and leaves to the network what it cannot do itself.
//!
//! Without I/O and clock: what it wants of the network it leaves as [`Action`]s; [`crate::sim::operator`] decides when
//! they happen and calls back.

use std::collections::VecDeque;

use crate::identity::{Imei, Imsi};
use crate::ota::comprehension_tlv::command::{
    LOCAL_INFORMATION_IMEI, PROVIDE_LOCAL_INFORMATION, REFRESH, SEND_SHORT_MESSAGE, SET_UP_EVENT_LIST,
};
use crate::ota::comprehension_tlv::device::{NETWORK, TERMINAL, UICC};
use crate::ota::comprehension_tlv::{event, find, put, put_ber, read_all, read_ber, tag, template};
use crate::ota::tp::{DCS_8_BIT_CLASS_2, Deliver, PID_SIM_DATA_DOWNLOAD};
use crate::sim::card::{Card, CardReport};
use crate::sim::fault_plan::{StatusWord, WritePoint};
use crate::sim::faults::{Fault, Trouble};
use crate::sim::hlr::Vector;

/// The AID of a USIM, as far as every card has it in common.
const AID_USIM: [u8; 7] = [0xA0, 0x00, 0x00, 0x00, 0x87, 0x10, 0x02];
/// What the terminal can do (TS 102 223 §5.2): SMS-PP download, proactive commands used here, event download.
const PROFILE: [u8; 9] = [0xFF, 0x6F, 0xFF, 0x1F, 0x21, 0x00, 0x00, 0x00, 0x00];
/// The address of the service centre, as it stands in the ENVELOPE.
const SERVICE_CENTRE: [u8; 7] = [0x91, 0x68, 0x31, 0x08, 0x10, 0x05, 0xF0];
/// PLMN 001/01, location area and cell 1.
const LOCATION: [u8; 7] = [0x00, 0xF1, 0x10, 0x00, 0x01, 0x00, 0x01];
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
/// What a slot answers that gets nothing out of its card: no precise diagnosis (TS 102 221 §10.2.1.5).
const NO_CARD: StatusWord = StatusWord(0x6F00);
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
    /// To be switched on again some time: power was lost at this point of the card's write.
    PowerLost(WritePoint),
    /// Nothing, ever again.
    FallSilent,
    /// To have a fault counted that has just happened.
    Count(Fault),
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
    /// A tool is about to fetch a response; what the terminal sent now would cost it that response.
    held: bool,
    /// Where the card's write was last seen.
    point: Option<WritePoint>,
    trouble: Trouble,
    refresh_refusals: u32,
    envelope_refusals: Option<(u32, StatusWord)>,
    will_fall_silent: bool,
    silent: bool,
    actions: VecDeque<Action>,
}

impl Terminal {
    /// A terminal that is off. One that `will_fall_silent` does so once its card has accepted a write.
    pub(super) fn new(imei: Imei, card: Card, will_fall_silent: bool) -> Self {
        Self {
            imei,
            card,
            on: false,
            in_service: false,
            wants_location: false,
            announced: None,
            sending: None,
            held: false,
            point: None,
            trouble: Trouble::default(),
            refresh_refusals: 0,
            envelope_refusals: None,
            will_fall_silent,
            silent: false,
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

    /// What may happen in the next step; what does not happen in it will not.
    pub(super) fn expect(&mut self, trouble: Trouble) {
        self.trouble = trouble;
    }

    /// Whatever the card or the terminal has been refusing, it does no more.
    pub(super) fn heal(&mut self) {
        self.refresh_refusals = 0;
        self.envelope_refusals = None;
    }

    /// Whether this device never says a word once its card has accepted a write.
    pub(super) const fn will_fall_silent(&self) -> bool {
        self.will_fall_silent
    }

    /// Whether a tool is about to fetch a response.
    pub(super) const fn is_held(&self) -> bool {
        self.held
    }

    /// What is left to the network.
    pub(super) fn poll_action(&mut self) -> Option<Action> {
        self.actions.pop_front()
    }

    /// Starts the card, tells it what the terminal can do, serves it, and asks to be attached.
    pub(super) fn power_on(&mut self) {
        self.power_off();
        if self.silent {
            return;
        }
        self.on = true;
        self.card.reset();
        self.watch_write();
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
        self.held = false;
        // What has happened has happened.
        self.actions.retain(|action| matches!(action, Action::Count(_)));
    }

    /// The regular STATUS, by which the card gets a word in.
    pub(super) fn status(&mut self) {
        // Whoever has not fetched by now will not.
        if std::mem::take(&mut self.held) {
            return;
        }
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
            put(&mut objects, tag::EVENT_LIST, true, &[event::LOCATION_STATUS]);
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
        if self.held {
            return Taken::CardBusy;
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
        if !self.on {
            return Taken::NotThere;
        }
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

    /// One C-APDU of a tool that speaks to the card through this terminal, as by AT+CSIM. The R-APDU is handed out as it
    /// is, 61xx and 91xx too; proactive commands are the terminal's own affair, after a response has been fetched.
    pub(super) fn relay(&mut self, apdu: &[u8]) -> Vec<u8> {
        let (mut answer, status) = self.transmit(apdu);
        answer.extend(status.to_be_bytes());
        match status.to_be_bytes() {
            [0x61, _] => self.held = self.on,
            [high, low] => {
                self.held = false;
                if high == 0x91 {
                    self.announced = Some(low);
                }
                self.serve();
            }
        }
        answer
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
                self.wants_location = find(&objects, tag::EVENT_LIST)
                    .is_some_and(|events| events.contains(&event::LOCATION_STATUS));
                self.respond(details, PERFORMED, None);
            }
            (PROVIDE_LOCAL_INFORMATION, LOCAL_INFORMATION_IMEI) => {
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
            (REFRESH, _) if self.refuses_refresh() => self.respond(details, TERMINAL_UNABLE, None),
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
        if !self.on {
            return (Vec::new(), NO_CARD.0);
        }
        if is_download(apdu)
            && let Some(status) = self.refused_envelope()
        {
            return (Vec::new(), status.0);
        }
        self.card.expect_power_cut(self.trouble.power_cut_at.contains(&WritePoint::WithinScript));
        let mut answer = self.card.transmit(apdu);
        self.watch_write();
        let low = answer.pop().unwrap_or_default();
        let high = answer.pop().unwrap_or_default();
        (answer, u16::from_be_bytes([high, low]))
    }

    /// Falls silent or loses power where the card's write has just come to a point at which that is to happen.
    fn watch_write(&mut self) {
        let point = self.card.write_point();
        if point == self.point {
            return;
        }
        self.point = point;
        let Some(point) = point else { return };
        if self.will_fall_silent && point == WritePoint::Accepted {
            self.power_off();
            self.silent = true;
            self.actions.push_back(Action::FallSilent);
        } else if self.trouble.power_cut_at.contains(&point) {
            self.power_off();
            self.actions.push_back(Action::PowerLost(point));
        }
    }

    /// The status with which the card refuses this ENVELOPE, if it does.
    fn refused_envelope(&mut self) -> Option<StatusWord> {
        let (left, status) =
            self.envelope_refusals.take().or_else(|| self.trouble.envelope_refusals.take())?;
        self.envelope_refusals = (left > 1).then_some((left - 1, status));
        self.actions.push_back(Action::Count(Fault::EnvelopeRefused));
        Some(status)
    }

    /// Whether the terminal refuses this REFRESH.
    fn refuses_refresh(&mut self) -> bool {
        if self.refresh_refusals == 0 {
            self.refresh_refusals = std::mem::take(&mut self.trouble.refresh_refusals);
        }
        let refuses = self.refresh_refusals > 0;
        if refuses {
            self.refresh_refusals -= 1;
            self.actions.push_back(Action::Count(Fault::RefreshRefused));
        }
        refuses
    }
}

/// Whether a C-APDU is ENVELOPE (SMS-PP DOWNLOAD).
const fn is_download(apdu: &[u8]) -> bool {
    matches!(apdu, [0x80, 0xC2, _, _, _, template::SMS_PP_DOWNLOAD, ..])
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
