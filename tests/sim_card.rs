//! The simulated card alone, spoken to in APDUs: the test plays the terminal and the platform.

use airwrite::applet::{
    BindingAck, BindingRequest, BindingResponse, BindingResult, LastState, Message, Poll, PollAnswer,
    PollWhat, Refresh, ResultAck, Trigger, WriteCard, WriteResult, WriteStatus, detail,
};
use airwrite::identity::{Imei, Imsi, Msisdn};
use airwrite::ota::comprehension_tlv::{find, put, put_ber, read_all, read_ber, tag, template};
use airwrite::ota::parts::CpiPosition;
use airwrite::ota::tp::{Deliver, Submit, TpAddress};
use airwrite::ota::{
    Algorithm, CommandHeader, Content, Cpi, Key, KeySet, OpenedResponse, Reference, Rsc, Spi1, Spi2,
    SplitOptions, UserData, command, response, split,
};
use airwrite::sim::card::{Card, CardReport, MO_TAR, MT_TAR};
use airwrite::sim::hlr::{Hlr, OperatorSecret};
use airwrite::sim::{CardSpec, MoDialect, Preset};

const IMEI: &str = "490154203237518";
const OTHER_IMEI: &str = "357805023984942";
const EID: &str = "89034011560010000000000000000121";
const OTHER_EID: &str = "89001012012341234012345678901224";
const PRESET_IMSI: &str = "460040000000001";
const PRESET_NUMBER: &str = "861064800000001";
const TARGET_IMSI: &str = "460041234567890";
const TARGET_NUMBER: &str = "861064812345678";
const BY_SUBMIT: Spi2 = Spi2::POR_CC_CIPHERED_BY_SUBMIT;

fn keys(first: u8) -> KeySet {
    let key = |octet| Key::new(Algorithm::Aes, &[octet; 16]).unwrap();
    KeySet::new(1, key(first), key(first + 1), 8).unwrap()
}

fn spec() -> CardSpec {
    let mut spec = CardSpec::new(
        EID.parse().unwrap(),
        "8986040000000000012".parse().unwrap(),
        IMEI.parse().unwrap(),
        keys(1),
    );
    spec.preset = Some(Preset { imsi: PRESET_IMSI.parse().unwrap(), msisdn: PRESET_NUMBER.parse().unwrap() });
    spec
}

/// What the card wants of the terminal.
#[derive(Debug, PartialEq)]
enum Wanted {
    Events,
    Imei,
    Refresh(u8),
    Own(Message),
    Por(OpenedResponse),
    /// A plain message: the whole SMS-SUBMIT.
    Plain(Vec<u8>),
}

/// Terminal, network and platform around a card.
struct Bench {
    card: Card,
    imei: Imei,
    hlr: Hlr,
    cntr: u64,
    number: u8,
    asked: Spi2,
    own_cntrs: Vec<u64>,
}

impl Bench {
    fn new(spec: &CardSpec) -> Self {
        let secret = OperatorSecret::default();
        let mut hlr = Hlr::new(secret.clone());
        for (imsi, number) in [(PRESET_IMSI, PRESET_NUMBER), (TARGET_IMSI, TARGET_NUMBER)] {
            hlr.provision(imsi.parse().unwrap(), number.parse().unwrap());
        }
        Self {
            card: Card::personalise(spec, secret),
            imei: spec.imei,
            hlr,
            cntr: 0,
            number: 0,
            asked: BY_SUBMIT,
            own_cntrs: Vec::new(),
        }
    }

    /// A card that is bound and in service.
    fn bound() -> Self {
        let mut bench = Self::new(&spec());
        bench.power_on();
        bench.service();
        let Some(Wanted::Own(Message::BindingRequest(request))) = bench.next(true) else { panic!("binds") };
        bench.send(
            &Message::BindingResponse(BindingResponse { tid: request.tid, result: BindingResult::Saved }),
            Spi2::NO_POR,
        );
        assert!(bench.report().binding_flag);
        bench
    }

    fn report(&self) -> CardReport {
        self.card.report()
    }

    /// One command: GET RESPONSE is done here, the status is the last one.
    fn apdu(&mut self, apdu: &[u8]) -> (Vec<u8>, u16) {
        let (data, status) = self.raw(apdu);
        match status.to_be_bytes() {
            [0x61, octets] => self.raw(&[0x00, 0xC0, 0, 0, octets]),
            _ => (data, status),
        }
    }

    fn raw(&mut self, apdu: &[u8]) -> (Vec<u8>, u16) {
        let mut answer = self.card.transmit(apdu);
        let status = answer.split_off(answer.len() - 2);
        (answer, u16::from_be_bytes([status[0], status[1]]))
    }

    /// Reset, TERMINAL PROFILE, IMEI.
    fn power_on(&mut self) {
        self.card.reset();
        self.apdu(&[0x80, 0x10, 0, 0, 1, 0xFF]);
        assert_eq!(self.next(true), Some(Wanted::Events));
        assert_eq!(self.next(true), Some(Wanted::Imei));
    }

    fn status(&mut self) {
        self.apdu(&[0x80, 0xF2, 0, 0x0C]);
    }

    fn location(&mut self, service: bool) {
        self.apdu(
            &[
                &[0x80, 0xC2, 0, 0, 12, 0xD6, 10, 0x99, 1, 3, 0x82, 2, 0x82, 0x81, 0x9B][..],
                &[1, if service { 0 } else { 2 }],
            ]
            .concat()[..],
        );
    }

    /// Authenticates under the present EF.IMSI, then reports normal service.
    fn service(&mut self) {
        assert!(self.authenticate());
        self.location(true);
    }

    fn authenticate(&mut self) -> bool {
        self.apdu(&[0x00, 0xA4, 0x04, 0x0C, 7, 0xA0, 0, 0, 0, 0x87, 0x10, 0x02]);
        self.apdu(&[0x00, 0xA4, 0x00, 0x0C, 2, 0x6F, 0x07]);
        let imsi = Imsi::from_ef(&self.apdu(&[0x00, 0xB0, 0, 0, 9]).0).unwrap();
        let vector = self.hlr.challenge(&imsi, [7; 16]).unwrap();
        let apdu = [&[0x00, 0x88, 0, 0x81, 34, 16][..], &vector.rand, &[16], &vector.autn].concat();
        let (answer, _) = self.apdu(&apdu);
        answer.get(2..10) == Some(vector.xres.as_slice())
    }

    /// The next proactive command, answered as performed or not. REFRESH with a reset is performed by a reset.
    fn next(&mut self, perform: bool) -> Option<Wanted> {
        let (octets, status) = self.raw(&[0x80, 0x12, 0, 0, 0]);
        if octets.is_empty() {
            assert_eq!(status, 0x6985, "nothing to fetch");
            return None;
        }
        let (outer, _) = read_ber(&octets).unwrap();
        assert_eq!(outer.tag, template::PROACTIVE_COMMAND);
        let objects = read_all(outer.value).unwrap();
        let details: [u8; 3] = find(&objects, tag::COMMAND_DETAILS).unwrap().try_into().unwrap();
        self.number = details[0];
        let wanted = match details[1] {
            0x05 => Wanted::Events,
            0x26 => Wanted::Imei,
            0x01 => Wanted::Refresh(details[2]),
            0x13 => self.message(find(&objects, tag::SMS_TPDU).unwrap()),
            other => panic!("{other:02X}"),
        };
        if wanted == Wanted::Refresh(4) && perform {
            return Some(wanted);
        }
        let mut data = Vec::new();
        put(&mut data, tag::COMMAND_DETAILS, true, &details);
        put(&mut data, tag::DEVICE_IDENTITIES, true, &[0x82, 0x81]);
        put(&mut data, tag::RESULT, true, if perform { &[0] } else { &[0x20, 0] });
        if wanted == Wanted::Imei {
            put(&mut data, tag::IMEI, true, &self.imei.to_mobile_identity());
        }
        let apdu = [&[0x80, 0x14, 0, 0, data.len() as u8][..], &data].concat();
        let (_, status) = self.apdu(&apdu);
        assert!(matches!(status.to_be_bytes(), [0x90 | 0x91, _]), "{status:04X}");
        Some(wanted)
    }

    fn message(&mut self, tpdu: &[u8]) -> Wanted {
        let submit = Submit::parse(tpdu).unwrap();
        assert_eq!(submit.destination.digits().as_deref(), Some("10690"));
        if !submit.udhi {
            return Wanted::Plain(tpdu.to_vec());
        }
        let user_data = UserData::parse(&submit.user_data).unwrap();
        if user_data.content() == Content::Response {
            return Wanted::Por(response::open(&user_data.payload, self.asked, &keys(1)).unwrap());
        }
        assert_eq!(user_data.content(), Content::Command);
        let opened = command::open(&user_data.payload, &keys(1)).unwrap();
        assert_eq!(
            (opened.header.spi1, opened.header.spi2, opened.header.tar),
            (Spi1::CC_CIPHERED_HIGHER, Spi2::NO_POR, MO_TAR)
        );
        self.own_cntrs.push(opened.header.cntr.get());
        assert!(self.own_cntrs.is_sorted_by(|a, b| a < b), "{:?}", self.own_cntrs);
        Wanted::Own(Message::from_der(&opened.data).unwrap())
    }

    fn seal(&mut self, message: &Message, spi2: Spi2) -> Vec<u8> {
        self.cntr += 1;
        self.asked = spi2;
        let header = CommandHeader::new(
            Spi1::CC_CIPHERED_HIGHER,
            spi2,
            &keys(1),
            MT_TAR,
            self.cntr.try_into().unwrap(),
        );
        command::seal(&header, &keys(1), &message.to_der().unwrap()).unwrap()
    }

    fn envelope(&mut self, user_data: Vec<u8>) -> (Vec<u8>, u16) {
        let deliver = Deliver {
            more_messages: false,
            udhi: true,
            originator: TpAddress::new(TpAddress::UNKNOWN, "10690").unwrap(),
            pid: 0x7F,
            dcs: 0xF6,
            time_stamp: [0; 7],
            user_data,
        };
        let mut objects = Vec::new();
        put(&mut objects, tag::DEVICE_IDENTITIES, true, &[0x83, 0x81]);
        put(&mut objects, tag::SMS_TPDU, true, &deliver.encode().unwrap());
        let mut data = Vec::new();
        put_ber(&mut data, template::SMS_PP_DOWNLOAD, &objects);
        self.apdu(&[&[0x80, 0xC2, 0, 0, data.len() as u8][..], &data].concat())
    }

    fn download(&mut self, packet: &[u8]) -> (Vec<u8>, u16) {
        let parts = split(packet, Cpi::Command, &SplitOptions::new(Reference::Bits8(1))).unwrap();
        parts.into_iter().map(|part| self.envelope(part)).last().unwrap()
    }

    fn send(&mut self, message: &Message, spi2: Spi2) -> (Vec<u8>, u16) {
        let packet = self.seal(message, spi2);
        self.download(&packet)
    }

    /// Sends a command and takes the answer in its PoR.
    fn ask(&mut self, message: &Message) -> Message {
        self.send(message, BY_SUBMIT);
        let Some(Wanted::Por(por)) = self.next(true) else { panic!("a PoR was asked for") };
        assert_eq!((por.rsc, por.cntr.get(), por.protected), (Rsc::OK, self.cntr, true));
        Message::from_der(&por.data).unwrap()
    }

    fn write(&mut self, order: WriteCard) -> WriteResult {
        let Message::WriteResult(result) = self.ask(&Message::WriteCard(order)) else { panic!("a result") };
        result
    }

    fn poll(&mut self) -> PollAnswer {
        let poll = Message::Poll(Poll { tid: 77, what: PollWhat::State });
        let Message::PollAnswer(answer) = self.ask(&poll) else { panic!("an answer") };
        assert_eq!(answer.tid, 77);
        answer
    }

    fn own(&mut self) -> Message {
        match self.next(true) {
            Some(Wanted::Own(message)) => message,
            other => panic!("{other:?}"),
        }
    }

    fn own_result(&mut self) -> WriteResult {
        let Message::WriteResult(result) = self.own() else { panic!("a result") };
        result
    }

    fn own_binding(&mut self) -> BindingRequest {
        let Message::BindingRequest(request) = self.own() else { panic!("a binding request") };
        request
    }
}

fn order(tid: u32) -> WriteCard {
    WriteCard {
        tid,
        imei: IMEI.parse().unwrap(),
        eid: EID.parse().unwrap(),
        iccid: None,
        imsi: TARGET_IMSI.parse().unwrap(),
        msisdn: TARGET_NUMBER.parse().unwrap(),
        smsc: None,
        refresh: Refresh::UiccReset,
        rollback: true,
        binding_ack: None,
        key_block: None,
    }
}

fn imsi(text: &str) -> Option<Imsi> {
    Some(text.parse().unwrap())
}

fn msisdn(text: &str) -> Option<Msisdn> {
    Some(text.parse().unwrap())
}

// ---- Binding

/// R1: the check runs at each start. R3, R4: it is not stored, so the card asks the terminal for the IMEI and
/// sends a request. R5: the request carries the device, the card and the preset IMSI.
#[test]
fn the_first_start_asks_for_a_binding_once_there_is_service() {
    let mut bench = Bench::new(&spec());
    bench.power_on();
    assert_eq!(bench.next(true), None, "no service yet");
    bench.service();
    let request = bench.own_binding();
    assert_eq!(
        request,
        BindingRequest {
            tid: request.tid,
            imei: IMEI.parse().unwrap(),
            eid: EID.parse().unwrap(),
            imsi: imsi(PRESET_IMSI),
            trigger: Trigger::Boot,
            app_version: 1,
        }
    );
    assert!(!bench.report().binding_flag);
}

/// R2: once the flag is set the check ends there. R7: the response sets it; without one the card asks again.
#[test]
fn a_binding_is_repeated_until_it_is_answered_and_then_no_more() {
    let mut bench = Bench::new(&spec());
    bench.power_on();
    bench.service();
    let first = bench.own_binding();
    (0..9).for_each(|_| bench.status());
    assert_eq!(bench.next(true), None);
    bench.status();
    let again = bench.own_binding();
    assert_eq!((again.tid, again.trigger), (first.tid, Trigger::Retry));

    // Next start, still without an answer; an answer to another request is none.
    bench.power_on();
    bench.service();
    assert_eq!(bench.own_binding().trigger, Trigger::Retry);
    let answer = |tid| Message::BindingResponse(BindingResponse { tid, result: BindingResult::Saved });
    bench.send(&answer(first.tid + 1), Spi2::NO_POR);
    assert!(!bench.report().binding_flag);
    bench.send(&answer(first.tid), Spi2::NO_POR);
    assert!(bench.report().binding_flag);
    assert_eq!(bench.report().bindings_sent, 3);

    bench.power_on();
    bench.service();
    (0..30).for_each(|_| bench.status());
    assert_eq!(bench.next(true), None);
}

#[test]
fn a_message_the_terminal_cannot_send_is_sealed_anew() {
    let mut bench = Bench::new(&spec());
    bench.power_on();
    bench.service();
    assert!(matches!(bench.next(false), Some(Wanted::Own(Message::BindingRequest(_)))));
    bench.status();
    assert_eq!(bench.own_binding().trigger, Trigger::Boot, "the first one that goes out");
    assert_eq!(bench.own_cntrs, [1, 2]);
    assert_eq!(bench.report().bindings_sent, 1);
}

#[test]
fn held_waits_for_the_next_start_and_rejected_ends_it() {
    let mut bench = Bench::new(&spec());
    for (result, bound) in [(BindingResult::Held, false), (BindingResult::Rejected, true)] {
        bench.power_on();
        bench.service();
        let request = bench.own_binding();
        bench.send(&Message::BindingResponse(BindingResponse { tid: request.tid, result }), Spi2::NO_POR);
        (0..30).for_each(|_| bench.status());
        assert_eq!(bench.next(true), None);
        assert_eq!(bench.report().binding_flag, bound);
    }
}

/// R8: another IMEI than the stored one is reported although the flag is set.
#[test]
fn another_device_binds_again() {
    let mut bench = Bench::bound();
    bench.imei = OTHER_IMEI.parse().unwrap();
    bench.power_on();
    bench.service();
    let request = bench.own_binding();
    assert_eq!(
        (request.imei.to_string().as_str(), request.trigger, request.tid),
        (OTHER_IMEI, Trigger::ImeiChanged, 2)
    );
    assert!(!bench.report().binding_flag);
}

#[test]
fn a_poll_is_answered_and_moves_a_card_that_is_not_bound() {
    let mut bench = Bench::new(&spec());
    bench.power_on();
    bench.service();
    let tid = bench.own_binding().tid;
    let answer = bench.poll();
    assert_eq!(
        (answer.binding_flag, answer.last_state, answer.last_tid, answer.mo_counter, answer.imsi),
        (false, LastState::None, 0, 1, imsi(PRESET_IMSI))
    );
    let request = bench.own_binding();
    assert_eq!((request.tid, request.trigger), (tid, Trigger::Polled));
}

// ---- Writing

/// R16: the target is in the card's files. R17: then comes REFRESH. R18: only under the target the card
/// reports its effect.
#[test]
fn a_write_is_proved_from_the_new_number_until_it_is_acknowledged() {
    let mut bench = Bench::bound();
    let accepted = bench.write(order(9));
    assert_eq!(
        accepted,
        WriteResult {
            tid: 9,
            eid: EID.parse().unwrap(),
            imsi: imsi(PRESET_IMSI),
            imei: IMEI.parse().unwrap(),
            status: WriteStatus::Accepted,
            detail: detail::NONE,
            mt_counter: bench.cntr,
        }
    );
    assert_eq!(
        (bench.report().ef_imsi, bench.report().ef_msisdn),
        (imsi(TARGET_IMSI), msisdn(TARGET_NUMBER))
    );
    assert_eq!(bench.next(true), Some(Wanted::Refresh(4)));
    bench.power_on();
    assert_eq!(bench.next(true), None, "nothing is proved yet");
    bench.service();
    let confirmed = bench.own_result();
    assert_eq!(
        (confirmed.tid, confirmed.status, confirmed.imsi),
        (9, WriteStatus::Confirmed, imsi(TARGET_IMSI))
    );

    // Repeated slowly, and at each start.
    (0..10).for_each(|_| bench.status());
    assert_eq!(bench.own_result().status, WriteStatus::Confirmed);
    bench.power_on();
    bench.service();
    assert_eq!(bench.own_result().status, WriteStatus::Confirmed);

    let ack = |tid, status| Message::ResultAck(ResultAck { tid, status });
    bench.send(&ack(8, WriteStatus::Confirmed), Spi2::NO_POR);
    bench.send(&ack(9, WriteStatus::RolledBack), Spi2::NO_POR);
    (0..10).for_each(|_| bench.status());
    assert_eq!(bench.own_result().tid, 9, "neither was its acknowledgement");
    bench.send(&ack(9, WriteStatus::Confirmed), Spi2::NO_POR);
    bench.power_on();
    bench.service();
    (0..30).for_each(|_| bench.status());
    assert_eq!(bench.next(true), None);
    assert_eq!(bench.report().executed, [(9, 1)].into());
}

#[test]
fn results_are_not_repeated_for_ever() {
    let mut spec = spec();
    spec.timing.results_max = 3;
    let mut bench = Bench::new(&spec);
    bench.power_on();
    bench.service();
    let tid = bench.own_binding().tid;
    let ack = Some(BindingAck { tid, result: BindingResult::Saved });
    bench.write(WriteCard { binding_ack: ack, ..order(1) });
    assert!(bench.report().binding_flag, "the write brought the acknowledgement");
    bench.next(true);
    let mut results = 0;
    for _ in 0..3 {
        bench.power_on();
        bench.service();
        for _ in 0..15 {
            while bench.next(true).is_some() {
                results += 1;
            }
            bench.status();
        }
    }
    assert_eq!(results, 3);
}

#[test]
fn no_service_under_the_new_subscription_brings_the_old_one_back() {
    let mut bench = Bench::bound();
    bench.hlr.provision_with(
        TARGET_IMSI.parse().unwrap(),
        TARGET_NUMBER.parse().unwrap(),
        OperatorSecret::new([9; 16]).credentials(&TARGET_IMSI.parse().unwrap()),
    );
    bench.write(order(9));
    bench.next(true);
    bench.power_on();
    assert!(!bench.authenticate());
    bench.location(false);
    (0..6).for_each(|_| bench.status());
    assert_eq!(bench.report().ef_imsi, imsi(TARGET_IMSI));
    assert_eq!(bench.next(true), None);
    bench.status();
    assert_eq!(
        (bench.report().ef_imsi, bench.report().ef_msisdn),
        (imsi(PRESET_IMSI), msisdn(PRESET_NUMBER))
    );
    assert_eq!(bench.next(true), Some(Wanted::Refresh(4)));
    bench.power_on();
    bench.service();
    let result = bench.own_result();
    assert_eq!(
        (result.status, result.detail, result.imsi),
        (WriteStatus::RolledBack, detail::NO_SERVICE, imsi(PRESET_IMSI))
    );
    assert_eq!(bench.poll().last_state, LastState::RolledBack);
    assert_eq!(
        bench.write(order(9)).status,
        WriteStatus::RolledBack,
        "the same transaction is not tried again"
    );
    assert_eq!(bench.report().executed, [(9, 1)].into());
}

#[test]
fn without_leave_to_roll_back_the_card_waits() {
    let mut bench = Bench::bound();
    bench.write(WriteCard { rollback: false, ..order(9) });
    bench.next(true);
    bench.power_on();
    (0..50).for_each(|_| bench.status());
    assert_eq!((bench.next(true), bench.report().ef_imsi), (None, imsi(TARGET_IMSI)));
    bench.service();
    assert_eq!(bench.own_result().status, WriteStatus::Confirmed);
}

#[test]
fn a_refused_refresh_is_tried_again() {
    let mut bench = Bench::bound();
    bench.write(order(9));
    for _ in 0..5 {
        assert_eq!(bench.next(false), Some(Wanted::Refresh(4)));
        bench.status();
        assert_eq!(bench.next(true), None);
        bench.status();
    }
    assert_eq!(bench.next(true), Some(Wanted::Refresh(4)));
    bench.power_on();
    bench.service();
    assert_eq!(bench.own_result().status, WriteStatus::Confirmed);
}

#[test]
fn an_application_reset_needs_no_new_start() {
    let mut bench = Bench::bound();
    bench.write(WriteCard { refresh: Refresh::NaaApplicationReset, ..order(9) });
    assert_eq!(bench.next(true), Some(Wanted::Refresh(5)));
    assert_eq!(bench.next(true), None);
    bench.service();
    assert_eq!(bench.own_result().status, WriteStatus::Confirmed);
}

#[test]
fn service_counts_only_under_the_new_subscription() {
    let mut bench = Bench::bound();
    bench.write(order(9));
    bench.location(true);
    assert_eq!(bench.next(true), Some(Wanted::Refresh(4)));
    bench.power_on();
    bench.location(true);
    assert_eq!(bench.next(true), None, "nobody has authenticated");
    assert_eq!(bench.report().last_state, "accepted");
}

#[test]
fn a_transaction_is_carried_out_once_and_older_ones_never() {
    let mut bench = Bench::bound();
    assert_eq!(bench.write(order(9)).status, WriteStatus::Accepted);
    bench.next(true);
    bench.power_on();
    assert_eq!(bench.write(order(10)).detail, detail::BUSY, "before service");
    bench.service();
    bench.own_result();
    assert_eq!(bench.write(order(9)).status, WriteStatus::Confirmed);
    let late = bench.write(order(8));
    assert_eq!((late.status, late.detail), (WriteStatus::Refused, detail::TID_TOO_LOW));
    let answer = bench.poll();
    assert_eq!((answer.last_tid, answer.last_state), (9, LastState::Confirmed));
    assert_eq!(bench.report().executed, [(9, 1)].into());
}

#[test]
fn a_write_for_another_card_or_device_is_refused_for_good() {
    let mut bench = Bench::bound();
    let other_card = bench.write(WriteCard { eid: OTHER_EID.parse().unwrap(), ..order(1) });
    assert_eq!((other_card.status, other_card.detail), (WriteStatus::Refused, detail::OTHER_EID));
    let other_device = bench.write(WriteCard { imei: OTHER_IMEI.parse().unwrap(), ..order(2) });
    assert_eq!((other_device.status, other_device.detail), (WriteStatus::Refused, detail::OTHER_IMEI));
    assert_eq!(bench.poll().last_state, LastState::Refused);
    assert_eq!(bench.write(order(2)).status, WriteStatus::Refused);
    assert_eq!((bench.report().ef_imsi, bench.next(true)), (imsi(PRESET_IMSI), None));
    assert!(bench.report().executed.is_empty());
}

// ---- Dialects

/// SMS-SUBMIT without duplicates and UDH, reference 0, to 10690, TP-PID 00, TP-DCS 04.
const PLAIN: [u8; 9] = [0x05, 0x00, 0x05, 0x81, 0x01, 0x96, 0xF0, 0x00, 0x04];

fn plain(data: &[u8]) -> Wanted {
    Wanted::Plain([&PLAIN[..], &[u8::try_from(data.len()).unwrap()], data].concat())
}

#[test]
fn a_card_that_sends_the_bare_imei_says_nothing_else() {
    let mut bench = Bench::new(&CardSpec { mo_dialect: MoDialect::RawImei, ..spec() });
    bench.power_on();
    bench.service();
    assert_eq!(bench.next(true), Some(plain(&[0x4A, 0x09, 0x51, 0x24, 0x30, 0x32, 0x57, 0x81])));
    assert!(
        bench.poll().imei.to_string() == IMEI && bench.report().binding_flag,
        "a poll shows it was heard"
    );
    assert_eq!(bench.next(true), None);
    bench.write(order(9));
    bench.next(true);
    bench.power_on();
    bench.service();
    (0..30).for_each(|_| bench.status());
    assert_eq!(bench.next(true), None, "no result by MO");
    let answer = bench.poll();
    assert_eq!((answer.last_tid, answer.last_state, answer.mo_counter), (9, LastState::Confirmed, 0));
}

#[test]
fn a_card_that_sends_plain_der_is_commanded_as_any_other() {
    let mut bench = Bench::new(&CardSpec { mo_dialect: MoDialect::PlainDer, ..spec() });
    bench.power_on();
    bench.service();
    let mut request = BindingRequest {
        tid: 1,
        imei: IMEI.parse().unwrap(),
        eid: EID.parse().unwrap(),
        imsi: imsi(PRESET_IMSI),
        trigger: Trigger::Boot,
        app_version: 1,
    };
    let der = |request: &BindingRequest| Message::BindingRequest(request.clone()).to_der().unwrap();
    assert_eq!(bench.next(true), Some(plain(&der(&request))));
    bench.poll();
    request.trigger = Trigger::Polled;
    assert_eq!(bench.next(true), Some(plain(&der(&request))));
    bench.send(
        &Message::BindingResponse(BindingResponse { tid: 1, result: BindingResult::Saved }),
        Spi2::NO_POR,
    );
    assert!(bench.report().binding_flag);

    let accepted = bench.write(order(9));
    bench.next(true);
    bench.power_on();
    bench.service();
    let result = WriteResult { status: WriteStatus::Confirmed, imsi: imsi(TARGET_IMSI), ..accepted };
    assert_eq!(bench.next(true), Some(plain(&Message::WriteResult(result).to_der().unwrap())));
}

// ---- How the PoR goes

#[test]
fn the_files_change_only_after_the_por_has_gone_out() {
    let mut bench = Bench::bound();
    bench.send(&Message::WriteCard(order(9)), BY_SUBMIT);
    assert_eq!(bench.report().ef_imsi, imsi(PRESET_IMSI));
    for _ in 0..2 {
        assert!(matches!(bench.next(false), Some(Wanted::Por(_))));
        assert_eq!((bench.report().ef_imsi, bench.next(true)), (imsi(PRESET_IMSI), None));
        bench.status();
    }
    // The third failure is the last: the PoR is lost, the write is not.
    assert!(matches!(bench.next(false), Some(Wanted::Por(_))));
    assert_eq!((bench.report().ef_imsi, bench.next(true)), (imsi(TARGET_IMSI), Some(Wanted::Refresh(4))));
}

#[test]
fn power_off_before_the_por_loses_the_por_only() {
    let mut bench = Bench::bound();
    bench.send(&Message::WriteCard(order(9)), BY_SUBMIT);
    bench.power_on();
    assert_eq!(bench.report().ef_imsi, imsi(TARGET_IMSI));
    bench.service();
    assert_eq!(bench.own_result().status, WriteStatus::Confirmed);
    assert_eq!(bench.report().executed, [(9, 1)].into());
}

#[test]
fn an_inline_por_is_fetched_by_get_response() {
    let mut bench = Bench::bound();
    let (data, status) = bench.send(&Message::WriteCard(order(9)), Spi2::POR_CC_CIPHERED);
    let user_data = UserData::parse(&data).unwrap();
    assert_eq!(user_data.content(), Content::Response);
    let por = response::open(&user_data.payload, Spi2::POR_CC_CIPHERED, &keys(1)).unwrap();
    assert_eq!((por.rsc, por.protected), (Rsc::OK, true));
    assert_eq!((status >> 8, bench.next(true)), (0x91, Some(Wanted::Refresh(4))));
}

#[test]
fn without_a_por_the_write_goes_on_at_once() {
    let mut bench = Bench::bound();
    let (data, status) = bench.send(&Message::WriteCard(order(9)), Spi2::NO_POR);
    assert_eq!((data.len(), status >> 8, bench.next(true)), (0, 0x91, Some(Wanted::Refresh(4))));
}

#[test]
fn a_replay_and_a_forgery_change_nothing() {
    let mut bench = Bench::bound();
    let poll = bench.seal(&Message::Poll(Poll { tid: 1, what: PollWhat::State }), BY_SUBMIT);
    bench.download(&poll);
    bench.next(true);
    bench.download(&poll);
    let Some(Wanted::Por(por)) = bench.next(true) else { panic!("02 at the level that was asked") };
    assert_eq!((por.rsc, por.protected), (Rsc::CNTR_LOW, true));

    let mut forged = bench.seal(&Message::WriteCard(order(9)), BY_SUBMIT);
    *forged.last_mut().unwrap() ^= 1;
    // The answer to what proved nothing is in clear.
    bench.asked = Spi2(0x21);
    bench.download(&forged);
    let Some(Wanted::Por(por)) = bench.next(true) else { panic!("01 in clear") };
    assert_eq!((por.rsc, por.protected), (Rsc::CHECK_FAILED, false));
    assert_eq!((bench.report().last_tid, bench.report().cntr_conflicts), (0, vec![]));
    assert_eq!(bench.report().mt_packets, 4);
}

#[test]
fn parts_come_in_any_order() {
    let mut bench = Bench::bound();
    let smsc = msisdn("8613800100500");
    let iccid = Some("8986040000000000012".parse().unwrap());
    let binding_ack = Some(BindingAck { tid: 1, result: BindingResult::Saved });
    let order = WriteCard { smsc, iccid, binding_ack, ..order(9) };
    let packet = bench.seal(&Message::WriteCard(order), BY_SUBMIT);
    let options = SplitOptions {
        cpi_position: CpiPosition::First,
        cpi_in_every_part: true,
        ..SplitOptions::new(Reference::Bits16(300))
    };
    let stray = split(&[0; 200], Cpi::Command, &SplitOptions::new(Reference::Bits8(1))).unwrap();
    bench.envelope(stray[0].clone());
    let parts = split(&packet, Cpi::Command, &options).unwrap();
    assert_eq!(parts.len(), 2);
    bench.envelope(parts[1].clone());
    bench.envelope(parts[1].clone());
    assert_eq!(bench.next(true), None);
    bench.envelope(parts[0].clone());
    assert!(matches!(bench.next(true), Some(Wanted::Por(_))));
    assert_eq!(bench.next(true), Some(Wanted::Refresh(4)));
}

#[test]
fn a_blank_card_confirms_once_it_is_refreshed() {
    let mut blank = spec();
    blank.preset = None;
    let mut bench = Bench::new(&blank);
    bench.power_on();
    let (data, _) = bench.send(&Message::WriteCard(order(1)), Spi2::POR_CC_CIPHERED);
    assert!(!data.is_empty());
    assert_eq!(bench.next(true), Some(Wanted::Refresh(4)));
    bench.power_on();
    let (data, _) = bench.send(&Message::Poll(Poll { tid: 2, what: PollWhat::State }), Spi2::POR_CC_CIPHERED);
    let por =
        response::open(&UserData::parse(&data).unwrap().payload, Spi2::POR_CC_CIPHERED, &keys(1)).unwrap();
    let Message::PollAnswer(answer) = Message::from_der(&por.data).unwrap() else { panic!("an answer") };
    assert_eq!((answer.last_state, answer.imsi), (LastState::Confirmed, imsi(TARGET_IMSI)));
    bench.service();
    bench.own_binding();
    assert_eq!(bench.own_result().status, WriteStatus::Confirmed);
}

#[test]
fn odd_apdus_are_answered_and_harm_nothing() {
    let mut bench = Bench::bound();
    for (apdu, status) in [
        (&[0x00][..], 0x6700),
        (&[0x00, 0xA4, 0x00, 0x0C, 0x02, 0x6F], 0x6700),
        (&[0x00, 0xFE, 0, 0], 0x6D00),
        (&[0xF0, 0xA4, 0, 0], 0x6E00),
        (&[0x80, 0xC2, 0, 0, 1, 0xD1], 0x6A80),
        (&[0x80, 0xC2, 0, 0, 4, 0xD1, 2, 0x8B, 0], 0x6A80),
        (&[0x80, 0x14, 0, 0, 3, 0x81, 1, 1], 0x6A80),
        (&[0x80, 0x12, 0, 0, 0], 0x6985),
        (&[0x00, 0xC0, 0, 0, 0], 0x6985),
        (&[0x00, 0x88, 0, 0x81, 2, 16, 1], 0x6A80),
    ] {
        assert_eq!(bench.apdu(apdu).1, status, "{apdu:02X?}");
    }
    assert_eq!(bench.write(order(1)).status, WriteStatus::Accepted);
}
