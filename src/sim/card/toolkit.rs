//! Proactive commands (TS 102 223 §6): one at a time, fetched by the terminal and answered by it.

use std::collections::VecDeque;

use crate::identity::Imei;
use crate::ota::comprehension_tlv::command::{
    LOCAL_INFORMATION_IMEI, PROVIDE_LOCAL_INFORMATION, REFRESH, SEND_SHORT_MESSAGE, SET_UP_EVENT_LIST,
};
use crate::ota::comprehension_tlv::device::{NETWORK, TERMINAL, UICC};
use crate::ota::comprehension_tlv::{event, find, put, put_ber, read_all, tag, template};
use crate::sim::card::applet::Sent;

/// Qualifier of REFRESH: file change notification (TS 102 223 §8.6).
const FILE_CHANGE: u8 = 0x01;
/// A list of one file, EF.IMSI of the USIM application, by its path from MF on (TS 102 223 §8.18).
const FILE_LIST_IMSI: [u8; 7] = [1, 0x3F, 0x00, 0x7F, 0xF0, 0x6F, 0x07];
/// Results up to this one mean that the command was performed (TS 102 223 §8.12).
const PERFORMED_MAX: u8 = 0x0F;

/// A command as the card sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Proactive {
    /// Events about the location status are wanted.
    SetUpEventList,
    /// The terminal's IMEI is wanted.
    ProvideImei,
    /// An SMS-SUBMIT, and what it is.
    SendShortMessage(Vec<u8>, Purpose),
    /// REFRESH with its qualifier.
    Refresh(u8),
    /// REFRESH, file change notification for EF.IMSI.
    ImsiChanged,
}

/// What a short message of the card is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A part of a response packet that has been tried so many times before.
    Por { attempts: u8 },
    /// A message of the applet; only the last part of it counts as sent.
    Own { message: Sent, last: bool },
}

/// What the terminal made of a command.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Response {
    pub(super) command: Proactive,
    pub(super) performed: bool,
    pub(super) imei: Option<Imei>,
}

/// Commands that wait, and the one that the terminal works on.
#[derive(Debug, Clone, Default)]
pub(super) struct Toolkit {
    waiting: VecDeque<Proactive>,
    fetched: Option<(u8, Proactive)>,
    last_number: u8,
}

impl Toolkit {
    pub(super) fn push(&mut self, command: Proactive) {
        self.waiting.push_back(command);
    }

    /// Octets of the command that FETCH would give; `None` while the terminal works on one.
    pub(super) fn pending(&self) -> Option<usize> {
        if self.fetched.is_some() {
            return None;
        }
        self.waiting.front().map(|command| encode(self.next_number(), command).len())
    }

    /// FETCH.
    pub(super) fn fetch(&mut self) -> Option<Vec<u8>> {
        if self.fetched.is_some() {
            return None;
        }
        let command = self.waiting.pop_front()?;
        self.last_number = self.next_number();
        let octets = encode(self.last_number, &command);
        self.fetched = Some((self.last_number, command));
        Some(octets)
    }

    /// TERMINAL RESPONSE; `None` where it answers no command of ours.
    pub(super) fn respond(&mut self, data: &[u8]) -> Option<Response> {
        let objects = read_all(data).ok()?;
        let number = find(&objects, tag::COMMAND_DETAILS)?.first()?;
        let result = find(&objects, tag::RESULT)?.first()?;
        let (_, command) = self.fetched.take_if(|(expected, _)| expected == number)?;
        let imei = find(&objects, tag::IMEI).and_then(|octets| Imei::from_mobile_identity(octets).ok());
        Some(Response { command, performed: *result <= PERFORMED_MAX, imei })
    }

    /// 1 to 254 (TS 102 223 §6.5.1).
    const fn next_number(&self) -> u8 {
        if self.last_number >= 0xFE { 1 } else { self.last_number + 1 }
    }
}

fn encode(number: u8, command: &Proactive) -> Vec<u8> {
    let (kind, qualifier, destination) = match command {
        Proactive::SetUpEventList => (SET_UP_EVENT_LIST, 0, TERMINAL),
        Proactive::ProvideImei => (PROVIDE_LOCAL_INFORMATION, LOCAL_INFORMATION_IMEI, TERMINAL),
        Proactive::SendShortMessage(..) => (SEND_SHORT_MESSAGE, 0, NETWORK),
        Proactive::Refresh(qualifier) => (REFRESH, *qualifier, TERMINAL),
        Proactive::ImsiChanged => (REFRESH, FILE_CHANGE, TERMINAL),
    };
    let mut objects = Vec::new();
    put(&mut objects, tag::COMMAND_DETAILS, true, &[number, kind, qualifier]);
    put(&mut objects, tag::DEVICE_IDENTITIES, true, &[UICC, destination]);
    match command {
        Proactive::SetUpEventList => put(&mut objects, tag::EVENT_LIST, true, &[event::LOCATION_STATUS]),
        Proactive::SendShortMessage(tpdu, _) => {
            // An empty alpha identifier: the user is not told.
            put(&mut objects, tag::ALPHA_IDENTIFIER, true, &[]);
            put(&mut objects, tag::SMS_TPDU, true, tpdu);
        }
        Proactive::ImsiChanged => put(&mut objects, tag::FILE_LIST, true, &FILE_LIST_IMSI),
        Proactive::ProvideImei | Proactive::Refresh(_) => {}
    }
    let mut octets = Vec::new();
    put_ber(&mut octets, template::PROACTIVE_COMMAND, &objects);
    octets
}

#[cfg(test)]
mod tests {
    use super::*;

    fn response(number: u8, result: u8) -> Vec<u8> {
        vec![0x81, 3, number, 0x26, 1, 0x82, 2, 0x82, 0x81, 0x83, 1, result]
    }

    #[test]
    fn one_command_at_a_time() {
        let mut toolkit = Toolkit::default();
        assert_eq!(toolkit.pending(), None);
        toolkit.push(Proactive::ProvideImei);
        toolkit.push(Proactive::Refresh(4));
        let command = [0xD0, 9, 0x81, 3, 1, 0x26, 1, 0x82, 2, 0x81, 0x82];
        assert_eq!(toolkit.pending(), Some(command.len()));
        assert_eq!(toolkit.fetch().unwrap(), command);
        assert_eq!((toolkit.pending(), toolkit.fetch()), (None, None));
        assert_eq!(toolkit.respond(&response(9, 0)), None, "of another command");
        let mut told = response(1, 0);
        let imei: Imei = "490154203237518".parse().unwrap();
        told.extend([0x94, 8]);
        told.extend(imei.to_mobile_identity());
        assert_eq!(
            toolkit.respond(&told),
            Some(Response { command: Proactive::ProvideImei, performed: true, imei: Some(imei) })
        );
        toolkit.fetch().unwrap();
        assert!(!toolkit.respond(&response(2, 0x20)).unwrap().performed);
        assert_eq!(toolkit.respond(&response(2, 0)), None);
    }
}
