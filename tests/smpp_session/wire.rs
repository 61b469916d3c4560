//! Two sessions, and octets by hand.

use std::time::{Duration, Instant};

use airwrite::smpp::{
    Bind, BindMode, CommandStatus, End, Event, Password, Pdu, Role, Session, SessionConfig, ShortMessage, Sm,
    SystemId, frame,
};
use bytes::{BufMut, Bytes, BytesMut};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) type Events = Vec<Event<u32>>;

/// Two sessions over a perfect wire.
pub(crate) struct Wire {
    pub(crate) now: Instant,
    pub(crate) esme: Session<u32>,
    pub(crate) smsc: Session<u32>,
}

impl Wire {
    pub(crate) fn new(window: u16) -> Self {
        let now = Instant::now();
        let config = |role| SessionConfig { window, ..SessionConfig::new(role) };
        Self { now, esme: Session::new(config(Role::Esme), now), smsc: Session::new(config(Role::Smsc), now) }
    }

    pub(crate) fn bound(mode: BindMode, window: u16) -> Self {
        let mut wire = Self::new(window);
        wire.esme.send_bind(wire.now, &bind(mode), 0).unwrap();
        let (_, events) = wire.exchange();
        let [Event::Bind(unanswered, bind)] = take(events) else { panic!("a bind") };
        assert_eq!((bind.mode, bind.system_id.as_bytes()), (mode, &b"airwrite"[..]));
        wire.smsc.answer_bind(unanswered, CommandStatus::ESME_ROK, SystemId::EMPTY);
        let (events, _) = wire.exchange();
        let [Event::Ended { token: 0, end: End::Answered(_), .. }] = take(events) else { panic!("bound") };
        assert_eq!((wire.esme.bound(), wire.smsc.bound()), (Some(mode), Some(mode)));
        wire
    }

    /// Carries octets both ways until both are quiet; the events of ESME and SMSC.
    pub(crate) fn exchange(&mut self) -> (Events, Events) {
        while !self.esme.output().is_empty() || !self.smsc.output().is_empty() {
            let (mut up, mut down) = (self.esme.output().split(), self.smsc.output().split());
            self.smsc.receive(self.now, &mut up);
            self.esme.receive(self.now, &mut down);
        }
        (drain(&mut self.esme), drain(&mut self.smsc))
    }
}

pub(crate) fn bind(mode: BindMode) -> Bind {
    Bind::new(mode, "airwrite".parse().unwrap(), Password::new("secret").unwrap())
}

pub(crate) fn drain(session: &mut Session<u32>) -> Events {
    std::iter::from_fn(|| session.next_event()).collect()
}

pub(crate) fn take<const N: usize>(events: Events) -> [Event<u32>; N] {
    events.try_into().unwrap_or_else(|events: Events| panic!("{N} events expected, found {events:?}"))
}

pub(crate) fn sm(text: &'static [u8]) -> Sm {
    Sm { short_message: ShortMessage::try_from(Bytes::from_static(text)).unwrap(), ..Sm::default() }
}

pub(crate) fn output(session: &mut Session<u32>) -> Vec<Pdu> {
    let mut octets = session.output().split();
    std::iter::from_fn(|| frame::next(&mut octets, 70_000).unwrap()).map(Pdu::decode).collect()
}

pub(crate) fn feed(session: &mut Session<u32>, now: Instant, octets: &[u8]) {
    let mut input = BytesMut::from(octets);
    session.receive(now, &mut input);
}

/// A PDU as an odd peer writes it.
pub(crate) fn raw(command_id: u32, status: u32, sequence: u32, body: &[u8]) -> Vec<u8> {
    let mut octets = Vec::new();
    octets.put_u32(u32::try_from(16 + body.len()).unwrap());
    octets.put_u32(command_id);
    octets.put_u32(status);
    octets.put_u32(sequence);
    octets.put_slice(body);
    octets
}
