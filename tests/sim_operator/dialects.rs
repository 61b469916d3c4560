//! Applets whose own messages are plain, as the platform hears them.

use airwrite::applet::{LastState, Message, Poll, PollWhat, WriteStatus};
use airwrite::identity::Imei;
use airwrite::ota::Spi2;
use airwrite::sim::operator::Input;
use airwrite::sim::{CardSpec, MoDialect, OperatorConfig};

use crate::bench::{Bench, Heard, IMEIS, cards, order, preset_number, target_number};

fn bench(mo_dialect: MoDialect) -> Bench {
    let cards: Vec<_> = cards(1).into_iter().map(|card| CardSpec { mo_dialect, ..card }).collect();
    let mut bench = Bench::with(OperatorConfig::default(), &cards, 7);
    bench.input(Input::PowerOn(0));
    bench
}

fn hear_plain(bench: &mut Bench) -> (String, Vec<u8>) {
    loop {
        match bench.hear() {
            Heard::Plain(from, data) => return (from, data),
            Heard::Receipt(_) | Heard::Por(..) => {}
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn the_bare_imei_comes_from_the_preset_number_and_the_result_by_poll() {
    let mut bench = bench(MoDialect::RawImei);
    let (from, data) = hear_plain(&mut bench);
    assert_eq!((from.as_str(), data.len()), (preset_number(0).as_str(), 8));
    assert_eq!(Imei::from_mobile_identity(&data).unwrap().to_string(), IMEIS[0]);

    bench.submit(&preset_number(0), Spi2::POR_CC_CIPHERED_BY_SUBMIT, &Message::WriteCard(order(0, 1)));
    bench.run_until(|report| report.cards[0].card.last_state == "confirmed");
    bench.submit(
        &target_number(0),
        Spi2::POR_CC_CIPHERED_BY_SUBMIT,
        &Message::Poll(Poll { tid: 5, what: PollWhat::State }),
    );
    let answer = loop {
        match bench.hear() {
            Heard::Por(from, Message::PollAnswer(answer)) => break (from, answer),
            Heard::Receipt(_) | Heard::Por(..) | Heard::Plain(..) => {}
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((answer.0.as_str(), answer.1.last_state), (target_number(0).as_str(), LastState::Confirmed));
}

#[test]
fn plain_der_carries_bindings_and_results() {
    let mut bench = bench(MoDialect::PlainDer);
    let (from, data) = hear_plain(&mut bench);
    assert_eq!(from, preset_number(0).as_str());
    assert!(matches!(Message::from_der(&data), Ok(Message::BindingRequest(_))));
    bench.submit(&preset_number(0), Spi2::POR_CC_CIPHERED_BY_SUBMIT, &Message::WriteCard(order(0, 1)));
    let (from, data) = hear_plain_result(&mut bench);
    assert_eq!((from.as_str(), data.status), (target_number(0).as_str(), WriteStatus::Confirmed));
}

fn hear_plain_result(bench: &mut Bench) -> (String, airwrite::applet::WriteResult) {
    loop {
        let (from, data) = hear_plain(bench);
        if let Message::WriteResult(result) = Message::from_der(&data).unwrap() {
            return (from, result);
        }
    }
}
