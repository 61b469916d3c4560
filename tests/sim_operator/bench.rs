//! The platform as the test plays it: cards, orders, and an operator without I/O.

use std::collections::BTreeMap;
use std::sync::Arc;

use airwrite::applet::{BindingResponse, BindingResult, Message, Refresh, Trigger, WriteCard, WriteResult};
use airwrite::identity::{Imei, Msisdn};
use airwrite::ota::script::{ScriptResponse, decode_response};
use airwrite::ota::{
    Algorithm, CommandHeader, Content, Cpi, Key, KeySet, Reference, Rsc, Spi1, Spi2, SplitOptions, Tar,
    UserData, command, response, split,
};
use airwrite::sim::card::MT_TAR;
use airwrite::sim::operator::{Input, Operator, Output};
use airwrite::sim::{CardSpec, EsmeId, FaultPlan, OperatorConfig, Preset, Report};
use airwrite::smpp::{
    Address, CommandStatus, MessageState, MessageType, RegisteredDelivery, ShortMessage, Sm, receipt,
};
use airwrite::world::SeededRng;
use bytes::Bytes;

pub(crate) const START_MS: u64 = 1_700_000_000_000;
pub(crate) const CODE: &str = "10690";
pub(crate) const EIDS: [&str; 3] = [
    "89034011560010000000000000000121",
    "89001012012341234012345678901224",
    "89044011112233441122334411223321",
];
pub(crate) const IMEIS: [&str; 3] = ["490154203237518", "357805023984942", "352099001761481"];

pub(crate) fn keys() -> KeySet {
    let key = |octet| Key::new(Algorithm::Aes, &[octet; 16]).unwrap();
    KeySet::new(1, key(1), key(2), 8).unwrap()
}

pub(crate) fn preset_number(card: usize) -> Msisdn {
    format!("86106480000000{card}").parse().unwrap()
}

pub(crate) fn target_number(card: usize) -> Msisdn {
    format!("86106481234567{card}").parse().unwrap()
}

pub(crate) fn target_imsi(card: usize) -> String {
    format!("46004123456789{card}")
}

pub(crate) fn cards(count: usize) -> Vec<CardSpec> {
    (0..count)
        .map(|card| {
            let imei: Imei = IMEIS[card].parse().unwrap();
            let iccid = "8986040000000000012".parse().unwrap();
            let mut spec = CardSpec::new(EIDS[card].parse().unwrap(), iccid, imei, keys());
            let imsi = format!("46004000000000{card}").parse().unwrap();
            spec.preset = Some(Preset { imsi, msisdn: preset_number(card) });
            spec
        })
        .collect()
}

pub(crate) fn order(card: usize, tid: u32) -> WriteCard {
    WriteCard {
        tid,
        imei: IMEIS[card].parse().unwrap(),
        eid: EIDS[card].parse().unwrap(),
        iccid: None,
        imsi: target_imsi(card).parse().unwrap(),
        msisdn: target_number(card),
        smsc: None,
        refresh: Refresh::UiccReset,
        rollback: true,
        binding_ack: None,
        key_block: None,
    }
}

/// A submit_sm for each part of a command.
pub(crate) fn submits(to: &Msisdn, cntr: u64, spi2: Spi2, message: &Message) -> Vec<Sm> {
    submits_to(to, MT_TAR, cntr, spi2, &message.to_der().unwrap())
}

/// The same for any application on the card.
pub(crate) fn submits_to(to: &Msisdn, tar: Tar, cntr: u64, spi2: Spi2, data: &[u8]) -> Vec<Sm> {
    let header = CommandHeader::new(Spi1::CC_CIPHERED_HIGHER, spi2, &keys(), tar, cntr.try_into().unwrap());
    let packet = command::seal(&header, &keys(), data).unwrap();
    let source = Address { ton: 0, npi: 1, digits: CODE.parse().unwrap() };
    let destination = Address::international(to.as_str()).unwrap();
    split(&packet, Cpi::Command, &SplitOptions::new(Reference::Bits8(1)))
        .unwrap()
        .into_iter()
        .map(|part| Sm {
            registered_delivery: RegisteredDelivery::FINAL,
            ..Sm::submit_ota(source, destination, ShortMessage::try_from(Bytes::from(part)).unwrap())
        })
        .collect()
}

/// What a deliver_sm is to the platform.
#[derive(Debug)]
pub(crate) enum Heard {
    Receipt(MessageState),
    /// From this number.
    Own(String, Message),
    Por(String, Message),
    /// A PoR with the response to a script.
    Script(String, ScriptResponse),
    /// A part of a longer PoR.
    Part(UserData),
    /// A PoR without data: the command was not executed.
    Refused(Rsc),
    /// Plain user data.
    Plain(String, Vec<u8>),
}

pub(crate) fn hear(sm: &Sm) -> Heard {
    let from = sm.source.digits.to_str_lossy().into_owned();
    if sm.esm_class.message_type() == MessageType::DeliveryReceipt {
        return Heard::Receipt(receipt::parse(sm).unwrap().state);
    }
    assert_eq!(sm.destination.digits.to_str_lossy(), CODE);
    if !sm.esm_class.udhi() {
        assert_eq!((sm.esm_class.0, sm.protocol_id, sm.data_coding.0), (0, 0, 4));
        return Heard::Plain(from, sm.user_data().to_vec());
    }
    assert_eq!((sm.protocol_id, sm.data_coding.0), (0x7F, 0xF6));
    let user_data = UserData::parse(&sm.user_data()).unwrap();
    if user_data.concatenation().is_some() {
        return Heard::Part(user_data);
    }
    match user_data.content() {
        Content::Command => Heard::Own(
            from,
            Message::from_der(&command::open(&user_data.payload, &keys()).unwrap().data).unwrap(),
        ),
        Content::Response => {
            let por = response::open(&user_data.payload, Spi2::POR_CC_CIPHERED_BY_SUBMIT, &keys()).unwrap();
            match (por.rsc, Message::from_der(&por.data)) {
                (Rsc::OK, Ok(message)) => Heard::Por(from, message),
                (Rsc::OK, Err(_)) => Heard::Script(from, decode_response(&por.data).unwrap()),
                (rsc, _) => Heard::Refused(rsc),
            }
        }
        Content::Plain => panic!("plain"),
    }
}

pub(crate) const ESME: EsmeId = EsmeId(1);

pub(crate) struct Bench {
    pub(crate) operator: Operator,
    pub(crate) now_ms: u64,
    pub(crate) cntr: u64,
    pub(crate) submitted: Vec<Result<String, CommandStatus>>,
}

impl Bench {
    pub(crate) fn new(config: OperatorConfig, count: usize) -> Self {
        Self::with(config, &cards(count), 7)
    }

    /// With this plan of faults.
    pub(crate) fn faulty(plan: &str, count: usize) -> Self {
        let faults = FaultPlan::from_toml(plan).unwrap();
        Self::new(OperatorConfig { faults, ..OperatorConfig::default() }, count)
    }

    pub(crate) fn with(config: OperatorConfig, cards: &[CardSpec], seed: u64) -> Self {
        let count = cards.len();
        let mut operator = Operator::new(config, cards, Arc::new(SeededRng::new(seed)));
        let (system_id, short_codes) = ("airwrite".to_owned(), vec![CODE.to_owned()]);
        operator.handle(START_MS, Input::Bound { esme: ESME, system_id, short_codes, delivers: true });
        for card in 0..count {
            operator
                .handle(START_MS, Input::Provision(target_imsi(card).parse().unwrap(), target_number(card)));
        }
        Self { operator, now_ms: START_MS, cntr: 0, submitted: Vec::new() }
    }

    pub(crate) fn input(&mut self, input: Input) {
        self.operator.handle(self.now_ms, input);
    }

    pub(crate) fn submit(&mut self, to: &Msisdn, spi2: Spi2, message: &Message) {
        self.cntr += 1;
        for sm in submits(to, self.cntr, spi2, message) {
            self.input(Input::Submit { esme: ESME, token: 1, sm: Box::new(sm) });
        }
    }

    /// The next thing heard within `within_ms`; answered with `status`.
    pub(crate) fn hear_and_answer(&mut self, within_ms: u64, status: CommandStatus) -> Option<Heard> {
        let until = self.now_ms + within_ms;
        loop {
            while let Some(output) = self.operator.poll_output() {
                match output {
                    Output::SubmitAnswer { answer, .. } => self.submitted.push(answer),
                    Output::Deliver { delivery, sm, .. } => {
                        self.input(Input::Answered(delivery, Some(status)));
                        return Some(hear(&sm));
                    }
                    Output::Answer { .. } => panic!("nothing else was asked"),
                    Output::Cut { .. } => panic!("no faults were planned"),
                }
            }
            self.now_ms = self.operator.next_deadline().filter(|due| *due <= until)?;
            self.input(Input::Tick);
        }
    }

    /// Lets time pass until that is so, at most an hour; gives what was heard on the way.
    pub(crate) fn run_until(&mut self, so: impl Fn(&Report) -> bool) -> Vec<Heard> {
        let until = self.now_ms + 3_600_000;
        let mut heard = Vec::new();
        loop {
            while let Some(more) = self.hear_and_answer(0, CommandStatus::ESME_ROK) {
                heard.push(more);
            }
            if so(&self.operator.snapshot()) {
                return heard;
            }
            self.now_ms = self.operator.next_deadline().unwrap_or(until);
            assert!(self.now_ms < until, "{:?}", self.operator.snapshot());
        }
    }

    pub(crate) fn faults(&self) -> BTreeMap<String, u64> {
        self.operator.snapshot().faults
    }

    pub(crate) fn hear(&mut self) -> Heard {
        self.hear_and_answer(600_000, CommandStatus::ESME_ROK).expect("something within ten minutes")
    }

    pub(crate) fn bind(&mut self, card: usize) {
        self.input(Input::PowerOn(card));
        let Heard::Own(from, Message::BindingRequest(request)) = self.hear() else {
            panic!("a binding request")
        };
        assert_eq!((from.as_str(), request.trigger), (preset_number(card).as_str(), Trigger::Boot));
        let saved =
            Message::BindingResponse(BindingResponse { tid: request.tid, result: BindingResult::Saved });
        self.submit(&preset_number(card), Spi2::NO_POR, &saved);
        assert!(matches!(self.hear(), Heard::Receipt(MessageState::DELIVERED)));
        assert!(self.operator.snapshot().cards[card].card.binding_flag);
    }

    /// Sends the order; gives the result in the PoR.
    pub(crate) fn write(&mut self, card: usize, tid: u32) -> WriteResult {
        let message = Message::WriteCard(order(card, tid));
        self.submit(&preset_number(card), Spi2::POR_CC_CIPHERED_BY_SUBMIT, &message);
        let mut result = None;
        for _ in 0..2 {
            match self.hear() {
                Heard::Receipt(state) => assert_eq!(state, MessageState::DELIVERED),
                Heard::Por(from, Message::WriteResult(por)) => {
                    assert_eq!(from, preset_number(card).as_str());
                    result = Some(por);
                }
                other => panic!("{other:?}"),
            }
        }
        result.unwrap()
    }

    pub(crate) fn own_result(&mut self) -> (String, WriteResult) {
        match self.hear() {
            Heard::Own(from, Message::WriteResult(result)) => (from, result),
            other => panic!("{other:?}"),
        }
    }
}
