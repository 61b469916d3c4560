//! A UICC, spoken to in APDUs and nothing else: files, USIM, toolkit, secured packets and the write applet.
//!
//! What a card decides is decided here, from its own point of view: level, counter, response status, files, binding
//! flag, roll-back. The octet codecs are those of the platform; independent vectors hold them.

mod apdu;
mod applet;
mod files;
mod outgoing;
mod report;
mod secured;
mod spec;
mod toolkit;
mod usim;
mod write;

use std::collections::VecDeque;

use crate::applet::Message;
use crate::identity::Eid;
use crate::ota::comprehension_tlv::{event, find, read_all, read_ber, tag, template};
use crate::ota::tp::Deliver;
use crate::ota::{Content, OpenedCommand, PartSet, UserData};
use crate::sim::fault_plan::WritePoint;
use crate::sim::hlr::OperatorSecret;
use apdu::{Answer, Command, Status};
use applet::{Applet, Wish};
use files::{Files, Selection};
use secured::{Por, Secured, Verdict};
use toolkit::{Proactive, Purpose, Toolkit};
use usim::{Authentication, Usim};

pub use applet::AppletTiming;
pub use report::CardReport;
pub use secured::{MO_TAR, MT_TAR};
pub use spec::{CardSpec, MoDialect, Preset};

/// A part of a response packet is tried so often; then the response counts as lost.
const POR_ATTEMPTS_MAX: u8 = 3;
/// Location status: normal service (TS 102 223 §8.27).
const NORMAL_SERVICE: u8 = 0x00;

/// A card. What is in `session` goes with the power; everything else stays.
#[derive(Debug, Clone)]
pub struct Card {
    eid: Eid,
    short_code: String,
    mo_dialect: MoDialect,
    files: Files,
    usim: Usim,
    secured: Secured,
    applet: Applet,
    last_reference: u8,
    session: Session,
}

#[derive(Debug, Clone, Default)]
struct Session {
    selection: Selection,
    waiting: Option<Waiting>,
    toolkit: Toolkit,
    /// Parts of a command; a card has one buffer, and a new message takes it.
    parts: Option<PartSet>,
    /// Parts of responses that are on their way, and those to try again at the next STATUS.
    por_parts: usize,
    por_again: VecDeque<Proactive>,
}

/// Data that waits for GET RESPONSE.
#[derive(Debug, Clone)]
struct Waiting {
    data: Vec<u8>,
    /// It is a response packet: once fetched, it has gone out.
    por: bool,
}

impl Card {
    /// A card as it leaves the factory. `pool` holds the keys of every subscription that it may be given.
    #[must_use]
    pub fn personalise(spec: &CardSpec, pool: OperatorSecret) -> Self {
        let preset = spec.preset.as_ref().map(|preset| (&preset.imsi, &preset.msisdn));
        Self {
            eid: spec.eid,
            short_code: spec.short_code.clone(),
            mo_dialect: spec.mo_dialect,
            files: Files::personalised(&spec.iccid, preset),
            usim: Usim::new(pool),
            secured: Secured::new(spec.keys.clone()),
            applet: Applet::new(spec.eid, spec.timing, spec.mo_dialect),
            last_reference: 0,
            session: Session::default(),
        }
    }

    /// Power on, or a reset: whatever was under way is forgotten.
    pub fn reset(&mut self) {
        self.session = Session::default();
        self.applet.reset(&mut self.files);
    }

    /// Where the card's write is now; `None` before the first, and once all is said about it.
    pub(super) fn write_point(&self) -> Option<WritePoint> {
        self.applet.write_point()
    }

    /// One C-APDU in, its R-APDU out.
    pub fn transmit(&mut self, apdu: &[u8]) -> Vec<u8> {
        let answer = match Command::parse(apdu) {
            Ok(command) => self.dispatch(&command).unwrap_or_else(Answer::from),
            Err(_) => Status::WRONG_LENGTH.into(),
        };
        self.fulfil_wishes();
        self.announce(answer).octets()
    }

    /// 9000 becomes 91xx where a proactive command waits.
    fn announce(&self, mut answer: Answer) -> Answer {
        if answer.status == Status::OK
            && let Some(octets) = self.session.toolkit.pending()
        {
            answer.status = Status::fetch(octets);
        }
        answer
    }

    fn dispatch(&mut self, command: &Command<'_>) -> Result<Answer, Status> {
        if (command.class, command.instruction) == (0x00, 0xC0) {
            return self.response(command);
        }
        if self.session.waiting.take().is_some_and(|waiting| waiting.por) {
            self.applet.por_gone(&mut self.files);
        }
        let selection = self.session.selection;
        match (command.class, command.instruction) {
            (0x00, 0xA4) => {
                let answer = self.files.select(&mut self.session.selection, command)?;
                Ok(self.keep(answer, false))
            }
            (0x00, 0xB0) => self.files.read_binary(selection, command),
            (0x00, 0xD6) => self.files.update_binary(selection, command),
            (0x00, 0xB2) => self.files.read_record(selection, command),
            (0x00, 0xDC) => self.files.update_record(selection, command),
            (0x00, 0x88) => self.authenticate(command),
            (0x80, 0x10) => {
                self.applet.terminal_ready();
                Ok(Answer::ok())
            }
            (0x80, 0xF2) => {
                self.session.por_again.drain(..).for_each(|part| self.session.toolkit.push(part));
                self.applet.status(&mut self.files);
                Ok(Answer::ok())
            }
            (0x80, 0x12) => self.fetch(command),
            (0x80, 0x14) => self.terminal_response(command),
            (0x80, 0xC2) => self.envelope(command),
            (0x00 | 0x80, _) => Err(Status::UNKNOWN_INSTRUCTION),
            _ => Err(Status::UNKNOWN_CLASS),
        }
    }

    /// Data of a command with data waits for GET RESPONSE (TS 102 221 §7.3.1.1.4).
    fn keep(&mut self, answer: Answer, por: bool) -> Answer {
        if answer.data.is_empty() {
            return answer;
        }
        let status = Status::waiting(answer.data.len());
        self.session.waiting = Some(Waiting { data: answer.data, por });
        status.into()
    }

    fn response(&mut self, command: &Command<'_>) -> Result<Answer, Status> {
        let waiting = self.session.waiting.take().ok_or(Status::CONDITIONS_NOT_SATISFIED)?;
        if command.expected != waiting.data.len() && command.expected != 256 {
            let status = Status::right_length(waiting.data.len());
            self.session.waiting = Some(waiting);
            return Err(status);
        }
        if waiting.por {
            self.applet.por_gone(&mut self.files);
        }
        Ok(Answer::data(waiting.data))
    }

    fn authenticate(&mut self, command: &Command<'_>) -> Result<Answer, Status> {
        if (command.p1, command.p2) != (0x00, 0x81) {
            return Err(Status::WRONG_P1_P2);
        }
        let imsi = self.files.imsi().ok_or(Status::CONDITIONS_NOT_SATISFIED)?;
        let answer = match self.usim.authenticate(&imsi, command.data)? {
            Authentication::Done(answer) => {
                self.applet.authenticated();
                answer
            }
            Authentication::Synchronise(answer) => answer,
        };
        Ok(self.keep(answer, false))
    }

    fn fetch(&mut self, command: &Command<'_>) -> Result<Answer, Status> {
        let octets = self.session.toolkit.pending().ok_or(Status::CONDITIONS_NOT_SATISFIED)?;
        if command.expected != octets && command.expected != 256 {
            return Err(Status::right_length(octets));
        }
        self.session.toolkit.fetch().map(Answer::data).ok_or(Status::CONDITIONS_NOT_SATISFIED)
    }

    fn terminal_response(&mut self, command: &Command<'_>) -> Result<Answer, Status> {
        let response = self.session.toolkit.respond(command.data).ok_or(Status::WRONG_DATA)?;
        match response.command {
            Proactive::SetUpEventList => {}
            Proactive::ProvideImei => {
                if let Some(imei) = response.imei {
                    self.applet.imei_told(imei, &self.files);
                }
            }
            Proactive::Refresh(_) => self.applet.refresh_answered(response.performed, &self.files),
            Proactive::SendShortMessage(_, Purpose::Own { last: false, .. }) => {}
            Proactive::SendShortMessage(_, Purpose::Own { message, last: true }) => {
                self.applet.sent(message, response.performed, &self.files);
            }
            Proactive::SendShortMessage(tpdu, Purpose::Por { attempts }) => {
                if !response.performed && attempts + 1 < POR_ATTEMPTS_MAX {
                    let again = Proactive::SendShortMessage(tpdu, Purpose::Por { attempts: attempts + 1 });
                    self.session.por_again.push_back(again);
                } else {
                    self.por_part_gone();
                }
            }
        }
        Ok(Answer::ok())
    }

    fn por_part_gone(&mut self) {
        self.session.por_parts = self.session.por_parts.saturating_sub(1);
        if self.session.por_parts == 0 {
            self.applet.por_gone(&mut self.files);
        }
    }

    fn envelope(&mut self, command: &Command<'_>) -> Result<Answer, Status> {
        let (envelope, _) = read_ber(command.data).map_err(|_| Status::WRONG_DATA)?;
        let objects = read_all(envelope.value).map_err(|_| Status::WRONG_DATA)?;
        match envelope.tag {
            template::SMS_PP_DOWNLOAD => {
                let tpdu = find(&objects, tag::SMS_TPDU).ok_or(Status::WRONG_DATA)?;
                let deliver = Deliver::parse(tpdu).map_err(|_| Status::WRONG_DATA)?;
                Ok(self.download(&deliver))
            }
            template::EVENT_DOWNLOAD => {
                if find(&objects, tag::EVENT_LIST) == Some(&[event::LOCATION_STATUS])
                    && let Some([status]) = find(&objects, tag::LOCATION_STATUS)
                {
                    self.applet.location(*status == NORMAL_SERVICE, &mut self.files);
                }
                Ok(Answer::ok())
            }
            _ => Err(Status::WRONG_DATA),
        }
    }

    /// SMS-PP download (TS 31.111 §7.1). What carries no whole command packet is taken and has no effect.
    fn download(&mut self, deliver: &Deliver) -> Answer {
        let Some(packet) = self.command_packet(deliver) else { return Answer::ok() };
        let (por, executed) = match self.secured.receive(&packet) {
            Verdict::Execute(command) => (self.execute(&command), true),
            Verdict::Refuse(por) => (Some(por), false),
            Verdict::Drop => (None, false),
        };
        match por {
            Some(Por { packet, by_submit: false }) => {
                let mut data = vec![0x02, 0x71, 0x00];
                data.extend(packet);
                self.keep(Answer::data(data), true)
            }
            Some(Por { packet, by_submit: true }) => {
                self.submit_por(&packet, &deliver.originator);
                Answer::ok()
            }
            None => {
                if executed {
                    self.applet.por_gone(&mut self.files);
                }
                Answer::ok()
            }
        }
    }

    /// The command packet in a short message, once its last part has come.
    fn command_packet(&mut self, deliver: &Deliver) -> Option<Vec<u8>> {
        if !deliver.udhi {
            return None;
        }
        let user_data = UserData::parse(&deliver.user_data).ok()?;
        let Some(part) = user_data.concatenation() else {
            return (user_data.content() == Content::Command).then_some(user_data.payload);
        };
        let mut set = self.session.parts.take().unwrap_or_else(|| PartSet::new(part));
        if set.insert(&user_data).is_err() {
            set = PartSet::new(part);
            set.insert(&user_data).ok()?;
        }
        match set.joined() {
            Some(joined) => (joined.content == Content::Command).then_some(joined.payload),
            None => {
                self.session.parts = Some(set);
                None
            }
        }
    }

    fn execute(&mut self, command: &OpenedCommand) -> Option<Por> {
        let mo_counter = self.secured.mo_counter().get();
        let answer = Message::from_der(&command.data).ok().and_then(|message| {
            self.applet.command(message, command.header.cntr.get(), mo_counter, &self.files)
        });
        let data = answer.and_then(|message| message.to_der().ok()).unwrap_or_default();
        self.secured.por(&command.header, &data)
    }

    fn fulfil_wishes(&mut self) {
        while let Some(wish) = self.applet.poll_wish() {
            match wish {
                Wish::Introduce => {
                    self.session.toolkit.push(Proactive::SetUpEventList);
                    self.session.toolkit.push(Proactive::ProvideImei);
                }
                Wish::Refresh(qualifier) => self.session.toolkit.push(Proactive::Refresh(qualifier)),
                Wish::Send(message, sent) => self.submit_own(&message, sent),
            }
        }
    }
}
