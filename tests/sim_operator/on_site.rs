//! Cards without a subscription, spoken to in APDUs by a tool that holds their device.

use std::sync::Arc;
use std::time::Duration;

use airwrite::applet::{
    BindingAck, BindingResult, LastState, Message, Poll, PollAnswer, PollWhat, WriteCard, WriteStatus,
};
use airwrite::ota::comprehension_tlv::{put, put_ber, tag, template};
use airwrite::ota::tp::{Deliver, TpAddress};
use airwrite::ota::{
    CommandHeader, Content, Cpi, OpenedResponse, Reference, Rsc, Spi1, Spi2, SplitOptions, UserData, command,
    response, split,
};
use airwrite::sim::card::MT_TAR;
use airwrite::sim::operator::Input;
use airwrite::sim::{CardSpec, FaultPlan, OperatorConfig, SimConfig, start};
use airwrite::smpp::CommandStatus;
use airwrite::world::{SeededRng, TokioClock};

use crate::bench::{Bench, CODE, Heard, START_MS, cards, keys, order, target_imsi, target_number};

const INLINE: Spi2 = Spi2::POR_CC_CIPHERED;

fn blank() -> Vec<CardSpec> {
    cards(1).into_iter().map(|card| CardSpec { preset: None, ..card }).collect()
}

fn bench(plan: &str) -> Bench {
    let faults = FaultPlan::from_toml(plan).unwrap();
    Bench::with(OperatorConfig { faults, ..OperatorConfig::default() }, &blank(), 7)
}

/// ENVELOPE (SMS-PP DOWNLOAD) for each part of a command.
fn envelopes(cntr: u64, message: &Message) -> Vec<Vec<u8>> {
    let header =
        CommandHeader::new(Spi1::CC_CIPHERED_HIGHER, INLINE, &keys(), MT_TAR, cntr.try_into().unwrap());
    let packet = command::seal(&header, &keys(), &message.to_der().unwrap()).unwrap();
    split(&packet, Cpi::Command, &SplitOptions::new(Reference::Bits8(1)))
        .unwrap()
        .into_iter()
        .map(envelope)
        .collect()
}

fn envelope(user_data: Vec<u8>) -> Vec<u8> {
    let deliver = Deliver {
        more_messages: false,
        udhi: true,
        originator: TpAddress::new(TpAddress::UNKNOWN, CODE).unwrap(),
        pid: 0x7F,
        dcs: 0xF6,
        time_stamp: [0; 7],
        user_data,
    };
    let mut objects = Vec::new();
    put(&mut objects, tag::DEVICE_IDENTITIES, true, &[0x83, 0x81]);
    put(&mut objects, tag::ADDRESS, false, &[0x91, 0x68, 0x31]);
    put(&mut objects, tag::SMS_TPDU, true, &deliver.encode().unwrap());
    let mut data = Vec::new();
    put_ber(&mut data, template::SMS_PP_DOWNLOAD, &objects);
    [&[0x80, 0xC2, 0, 0, u8::try_from(data.len()).unwrap()][..], &data].concat()
}

/// An order that takes two parts.
fn long_order() -> Message {
    Message::WriteCard(WriteCard {
        iccid: Some("8986040000000000012".parse().unwrap()),
        smsc: Some("8613800100500".parse().unwrap()),
        binding_ack: Some(BindingAck { tid: 99, result: BindingResult::Saved }),
        ..order(0, 1)
    })
}

fn poll() -> Message {
    Message::Poll(Poll { tid: 77, what: PollWhat::State })
}

/// What GET RESPONSE gave, without the status.
fn open(answer: &[u8]) -> OpenedResponse {
    let user_data = UserData::parse(&answer[..answer.len() - 2]).unwrap();
    assert_eq!((user_data.content(), &answer[..3]), (Content::Response, &[0x02, 0x71, 0x00][..]));
    response::open(&user_data.payload, INLINE, &keys()).unwrap()
}

impl Bench {
    fn apdu(&mut self, apdu: &[u8]) -> Vec<u8> {
        self.operator.transmit(self.now_ms, 0, apdu)
    }

    /// Sends a command in its parts; the last one's response.
    fn relay(&mut self, message: &Message) -> OpenedResponse {
        self.cntr += 1;
        let mut answer = Vec::new();
        for part in envelopes(self.cntr, message) {
            assert!(answer.is_empty() || answer == [0x90, 0x00], "{answer:02X?}");
            answer = self.apdu(&part);
        }
        let [0x61, octets] = answer[..] else { panic!("{answer:02X?}") };
        let answer = self.apdu(&[0x00, 0xC0, 0, 0, octets]);
        open(&answer)
    }

    fn relayed_poll(&mut self) -> PollAnswer {
        let por = self.relay(&poll());
        assert_eq!((por.rsc, por.protected), (Rsc::OK, true));
        let Message::PollAnswer(answer) = Message::from_der(&por.data).unwrap() else { panic!("an answer") };
        answer
    }
}

#[test]
fn a_blank_card_is_written_through_its_device_and_attaches() {
    let mut bench = bench("");
    assert_eq!(bench.apdu(&[0x80, 0xF2, 0, 0x0C]), [0x90, 0x00], "the device is on, its card introduced");
    let por = bench.relay(&long_order());
    let Message::WriteResult(result) = Message::from_der(&por.data).unwrap() else { panic!("a result") };
    assert_eq!(
        (por.rsc, por.cntr.get(), result.status, result.imsi),
        (Rsc::OK, 1, WriteStatus::Accepted, None)
    );
    // REFRESH has been served: off, soon on again.
    assert!(!bench.operator.snapshot().cards[0].on);

    let mut own = Vec::new();
    for _ in 0..2 {
        let Heard::Own(from, message) = bench.hear() else { panic!("a message of the card") };
        assert_eq!(from, target_number(0).as_str());
        own.push(message);
    }
    assert!(
        matches!(&own[..], [Message::BindingRequest(_), Message::WriteResult(result)]
        if result.status == WriteStatus::Confirmed && result.tid == 1),
        "{own:?}"
    );
    let answer = bench.relayed_poll();
    assert_eq!((answer.last_tid, answer.last_state), (1, LastState::Confirmed));
    let card = &bench.operator.snapshot().cards[0];
    assert_eq!(card.attached.unwrap().as_str(), target_imsi(0));
    assert_eq!((card.card.ef_imsi, &card.card.executed), (card.attached, &[(1, 1)].into()));
}

#[test]
fn a_poll_right_after_the_write_finds_it_confirmed() {
    let mut bench = bench("");
    bench.relay(&long_order());
    let answer = bench.relayed_poll();
    assert_eq!(
        (answer.last_state, answer.imsi),
        (LastState::Confirmed, Some(target_imsi(0).parse().unwrap()))
    );
    assert_eq!(bench.operator.snapshot().cards[0].attached, None, "before there is any service");
}

#[test]
fn a_response_waits_for_the_tool_while_the_device_has_other_things_to_do() {
    let mut bench = bench("");
    bench.cntr = 1;
    let [0x61, octets] = bench.apdu(&envelopes(1, &poll())[0])[..] else { panic!("a response waits") };
    // One STATUS becomes due, and is left out.
    bench.now_ms += 46_000;
    assert_eq!(open(&bench.apdu(&[0x00, 0xC0, 0, 0, octets])).rsc, Rsc::OK);

    let [0x61, octets] = bench.apdu(&envelopes(2, &poll())[0])[..] else { panic!("a response waits") };
    bench.now_ms += 100_000;
    assert_eq!(bench.apdu(&[0x00, 0xC0, 0, 0, octets]), [0x69, 0x85], "nobody waits for ever");
}

#[test]
fn power_lost_before_the_response_costs_the_response_only() {
    let mut bench = bench("[card]\npower_cut = 100\npower_cut_at = [\"accepted\"]");
    bench.cntr = 1;
    let parts = envelopes(1, &long_order());
    assert_eq!(bench.apdu(&parts[0]), [0x90, 0x00]);
    let [0x61, octets] = bench.apdu(&parts[1])[..] else { panic!("accepted") };
    assert_eq!(bench.apdu(&[0x00, 0xC0, 0, 0, octets]), [0x69, 0x85], "after a reset nothing waits");
    let again: Vec<_> = parts.iter().map(|part| bench.apdu(part)).collect();
    let [0x61, octets] = again[1][..] else { panic!("{again:02X?}") };
    assert_eq!(open(&bench.apdu(&[0x00, 0xC0, 0, 0, octets])).rsc, Rsc::CNTR_LOW);
    assert_eq!(bench.relayed_poll().last_state, LastState::Confirmed);
    assert_eq!(bench.operator.snapshot().faults, [("power_cut_accepted".to_owned(), 1)].into());
}

#[test]
fn a_card_that_refuses_takes_the_same_part_later() {
    let mut bench =
        bench("[card]\nenvelope_refused = 100\nenvelope_refusals_max = 1\nenvelope_status = [\"9300\"]");
    let parts = envelopes(1, &poll());
    assert_eq!(bench.apdu(&parts[0]), [0x93, 0x00]);
    assert_eq!(bench.apdu(&[0x80, 0xF2, 0, 0x0C]), [0x90, 0x00], "only ENVELOPE");
    bench.input(Input::Heal);
    assert!(matches!(bench.apdu(&parts[0])[..], [0x61, _]));
    assert_eq!(bench.operator.snapshot().faults, [("envelope_refused".to_owned(), 1)].into());
}

#[test]
fn a_silent_card_gives_no_sign_once_it_has_accepted() {
    let mut bench = bench("[card]\nsilent = 100");
    assert_eq!(bench.relayed_poll().last_state, LastState::None);
    for part in envelopes(2, &long_order()) {
        bench.apdu(&part);
    }
    for _ in 0..3 {
        assert_eq!(bench.apdu(&[0x80, 0xF2, 0, 0x0C]), [0x6F, 0x00]);
        bench.input(Input::Heal);
        bench.input(Input::PowerOn(0));
    }
    assert!(bench.hear_and_answer(3_600_000, CommandStatus::ESME_ROK).is_none());
    let report = bench.operator.snapshot();
    assert!(report.cards[0].silent && !report.cards[0].on);
    assert_eq!((report.cards[0].card.ef_imsi, report.faults["card_silent"]), (None, 1));
    assert_eq!(
        bench.operator.transmit(bench.now_ms, 9, &[0x80, 0xF2, 0, 0x0C]),
        [0x6F, 0x00],
        "no such device"
    );
}

#[tokio::test(start_paused = true)]
async fn through_the_handle_of_a_running_operator() {
    let clock = Arc::new(TokioClock::starting_at(START_MS));
    let sim = start(SimConfig::default(), &blank(), clock, Arc::new(SeededRng::new(1)), None);
    sim.provision(target_imsi(0).parse().unwrap(), target_number(0)).await.unwrap();
    let mut octets = 0;
    for part in envelopes(1, &long_order()) {
        match sim.transmit(0, part).await.unwrap()[..] {
            [0x90, 0x00] => {}
            [0x61, waiting] => octets = waiting,
            ref other => panic!("{other:02X?}"),
        }
    }
    let answer = sim.transmit(0, vec![0x00, 0xC0, 0, 0, octets]).await.unwrap();
    assert_eq!(open(&answer).rsc, Rsc::OK);
    sim.reset(0).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let report = sim.snapshot().await.unwrap();
    assert_eq!(report.cards[0].attached.unwrap().as_str(), target_imsi(0));
    sim.clone().stop().await;
    assert!(sim.transmit(0, vec![0x80, 0xF2, 0, 0x0C]).await.is_err());
}
