//! Records of every kind: one with everything in it, one with as little as may be. The bodies under
//! `tests/data/golden/records/` are these, so they change no more once a version is released.

use std::collections::VecDeque;

use airwrite::applet::{BindingAck, BindingResult, WriteStatus};
use airwrite::card::{
    Active, Answer, Bearer, Binding, Card, CardId, Claimed, Counter, End, HeldBinding, Hints, Hold, Leg,
    LegState, MissingFiles, MoWindow, Notice, Order, Outstanding, Owed, Owner, Purpose, ReadFile, Reads,
    StepFailure, Subscription, Told, UNPROVEN_KINDS, Unsettled, WriteId, WriteState,
};
use airwrite::identity::{Eid, Iccid, Imei, Msisdn};
use airwrite::ota::apdu::StatusWord;
use airwrite::ota::{Cntr, Tar};
use airwrite::store::records::{
    ApiKey, Claim, Device, Endpoint, FactRecord, Holder, IdempotencyKey, InboxRecord, LinkRecord,
    OutboxRecord, PartSet, SealedParts, StrayRecord, Write, WritePlan,
};

/// 2026-01-01 00:00 UTC, unix ms.
pub(crate) const NOW: u64 = 1_767_225_600_000;

pub(crate) fn card_id(octet: u8) -> CardId {
    CardId::from_octets([octet; 16])
}

pub(crate) fn write_id(octet: u8) -> WriteId {
    WriteId::from_octets([octet; 16])
}

pub(crate) fn owner(name: &str) -> Owner {
    name.parse().expect("an owner's name")
}

pub(crate) fn imei() -> Imei {
    "357805023984942".parse().expect("an IMEI")
}

pub(crate) fn cntr(number: u64) -> Cntr {
    Cntr::try_from(number).expect("a CNTR")
}

pub(crate) fn msisdn(text: &str) -> Msisdn {
    text.parse().expect("a number")
}

fn eid() -> Eid {
    "89034011560010000000000000000121".parse().expect("an EID")
}

/// A test card's ICCID, whose last digit is no check digit.
fn iccid() -> Iccid {
    Iccid::from_octets(&[0x98, 0x40, 0x09, 0x23, 0, 0, 0, 0, 0, 0x71]).expect("an ICCID")
}

/// Every field at its longest.
pub(crate) fn long_subscription() -> Subscription {
    Subscription {
        imsi: "262011234567890".parse().expect("an IMSI"),
        msisdn: msisdn("861064812345678"),
        iccid: Some(iccid()),
        smsc: Some(msisdn("491710760000123")),
    }
}

/// Every field that may be missing is.
pub(crate) fn short_subscription() -> Subscription {
    let imsi = "31041012345678".parse().expect("an IMSI");
    Subscription { imsi, msisdn: msisdn("123"), iccid: None, smsc: None }
}

pub(crate) fn full_card() -> Card {
    let ack = BindingAck { tid: 9, result: BindingResult::Held };
    let leg = |to, state, message_id: &str| Leg {
        to: msisdn(to),
        attempt: 2,
        state,
        message_id: message_id.to_owned(),
        receipt: None,
    };
    Card {
        id: card_id(0xCA),
        owner: owner("acme"),
        eid: Some(eid()),
        iccid: Some(iccid()),
        profile: "airwrite-applet".to_owned(),
        kvn: 15,
        preset: Some(short_subscription()),
        current: Some(long_subscription()),
        previous: Some(short_subscription()),
        replaced_at: 0,
        counters: vec![
            Counter { scope: "*".to_owned(), last: 41, epoch: 1 },
            Counter { scope: "tar:B00001".to_owned(), last: 0xFF_FFFF_FFFE, epoch: 2 },
        ],
        mo: MoWindow { highest: 300, seen: VecDeque::from([(300, 0x0123_4567_89AB_CDEF), (0, 1)]) },
        binding: Some(Binding { imei: imei(), since: NOW, mo_cntr: 299, answered: Some(ack) }),
        held: None,
        claimed: None,
        last_tid: 7,
        active: Some(Active {
            order: Order {
                id: write_id(0xA1),
                imei: imei(),
                target: long_subscription(),
                deadline: NOW + 1,
                seq: 5,
                bearer: None,
            },
            tid: 7,
            bearer: Bearer::Sms,
            state: WriteState::Unknown,
            since: NOW + 2,
            not_before: NOW + 3,
            cntr: Some(cntr(40)),
            handed_out: true,
            accepted: true,
            resent: 3,
            polls: 4,
            cancel: true,
            hold: Some(Hold::WrongDevice),
            refused_in_clear: false,
            step: 0,
            failure: None,
            missing: MissingFiles::default(),
        }),
        queue: vec![write_id(0xB1), write_id(0xB2)],
        outstanding: Some(Outstanding {
            purpose: Purpose::Poll,
            bearer: Bearer::Sms,
            cntr: cntr(41),
            legs: vec![
                leg("123", LegState::Handed { since: NOW, at: NOW + 4 }, ""),
                leg("456", LegState::Taken { at: NOW + 5, silent_at: NOW + 6 }, "4F-2"),
            ],
            repeated: true,
            low_at: Some(NOW + 7),
            acknowledges: Some(ack),
            reads: None,
        }),
        notice: Some(Notice {
            cntr: cntr(39),
            leg: leg("123", LegState::BackOff { until: NOW + 8 }, "4F-3"),
            says: Answer::Binding(ack),
        }),
        owed: vec![
            Owed { answer: Answer::Binding(ack), to: msisdn("123") },
            Owed { answer: Answer::Result { tid: 6, status: WriteStatus::RolledBack }, to: msisdn("456") },
        ],
        unsettled: vec![Unsettled { write: write_id(0xC1), tid: 5, target: short_subscription(), step: 0 }],
        last_result: Some((6, write_id(0xD1))),
        woken_at: NOW + 9,
        repeated_at: NOW + 10,
        resync: true,
        resynced_at: NOW + 11,
        ask: false,
        asked_at: 0,
        restored: false,
        hints: Hints::default(),
        seq: 99,
    }
}

pub(crate) fn minimal_card() -> Card {
    Card::new(card_id(1), owner("a"), String::new(), 1)
}

/// As large as a card gets: every list full, every text and every number at its longest.
pub(crate) fn largest_card() -> Card {
    let text = "x".repeat(65);
    let ack = BindingAck { tid: u32::MAX, result: BindingResult::Rejected };
    let leg = |state| Leg {
        to: msisdn("861064812345678"),
        attempt: u8::MAX,
        state,
        message_id: text.clone(),
        receipt: Some(true),
    };
    let taken = LegState::Taken { at: u64::MAX, silent_at: u64::MAX };
    let target = long_subscription();
    let result = Answer::Result { tid: u32::MAX, status: WriteStatus::Refused };
    let owed = |answer| Owed { answer, to: target.msisdn };
    Card {
        id: card_id(0xFF),
        owner: owner(&"o".repeat(64)),
        eid: Some(eid()),
        iccid: Some(iccid()),
        profile: text.clone(),
        kvn: 255,
        preset: Some(target.clone()),
        current: Some(target.clone()),
        previous: Some(target.clone()),
        replaced_at: u64::MAX,
        counters: vec![Counter { scope: "s".repeat(16), last: u64::MAX, epoch: u64::MAX }; 16],
        mo: MoWindow { highest: u64::MAX, seen: vec![(0xFF_FFFF_FFFF, u64::MAX); 64].into() },
        binding: Some(Binding { imei: imei(), since: u64::MAX, mo_cntr: u64::MAX, answered: Some(ack) }),
        held: Some(HeldBinding { imei: imei(), tid: Some(u32::MAX), mo_cntr: u64::MAX, since: u64::MAX }),
        claimed: Some(Claimed {
            imei: imei(),
            since: u64::MAX,
            tid: Some(u32::MAX),
            from: Some(msisdn("861064812345678")),
        }),
        last_tid: u32::MAX,
        active: Some(Active {
            order: Order {
                id: write_id(0xFF),
                imei: imei(),
                target: target.clone(),
                deadline: u64::MAX,
                seq: u32::MAX,
                bearer: Some(Bearer::Relay),
            },
            tid: u32::MAX,
            bearer: Bearer::Relay,
            state: WriteState::Ended(End::Unresolved),
            since: u64::MAX,
            not_before: u64::MAX,
            cntr: Some(Cntr::MAX),
            handed_out: true,
            accepted: true,
            resent: u32::MAX,
            polls: u8::MAX,
            cancel: true,
            hold: Some(Hold::WrongDevice),
            refused_in_clear: true,
            step: u8::MAX,
            failure: Some(StepFailure { command: u8::MAX, status: Some(StatusWord(u16::MAX)) }),
            missing: MissingFiles(u32::MAX),
        }),
        queue: vec![write_id(0xFF); 8],
        outstanding: Some(Outstanding {
            purpose: Purpose::Poll,
            bearer: Bearer::Relay,
            cntr: Cntr::MAX,
            legs: vec![leg(taken), leg(taken)],
            repeated: true,
            low_at: Some(u64::MAX),
            acknowledges: Some(ack),
            reads: Some(Reads { tar: Tar([0xFF; 3]), file: ReadFile::Nothing }),
        }),
        notice: Some(Notice { cntr: Cntr::MAX, leg: leg(taken), says: result }),
        owed: vec![owed(Answer::Binding(ack)), owed(result)],
        unsettled: vec![
            Unsettled {
                write: write_id(0xFF),
                tid: u32::MAX,
                target: target.clone(),
                step: u8::MAX
            };
            4
        ],
        last_result: Some((u32::MAX, write_id(0xFF))),
        woken_at: u64::MAX,
        repeated_at: u64::MAX,
        resync: true,
        resynced_at: u64::MAX,
        ask: true,
        asked_at: u64::MAX,
        restored: true,
        hints: Hints([Told { at: u64::MAX, untold: u32::MAX }; UNPROVEN_KINDS]),
        seq: u64::MAX,
    }
}

pub(crate) fn full_write() -> Write {
    Write {
        id: write_id(0xA1),
        owner: owner("acme"),
        imei: imei(),
        target: long_subscription(),
        client_order_id: Some("order 17".to_owned()),
        created: NOW,
        updated: NOW + 1,
        deadline: NOW + 2,
        state: WriteState::Ended(End::RolledBack),
        reason: Some("card_detail: 05".to_owned()),
        hold: Some(Hold::WrongDevice),
        card: Some(card_id(0xCA)),
        tid: Some(7),
        cntr: Some(40),
        resent: 3,
        cancel: true,
        seq: 5,
        written_at: Some(NOW + 3),
        ended_at: Some(NOW + 4),
        bearer: None,
        retry_of: None,
        imei_verified: None,
        profile: None,
        decided: None,
        plan: None,
    }
}

pub(crate) fn minimal_write() -> Write {
    Write {
        id: write_id(1),
        owner: owner("a"),
        imei: imei(),
        target: short_subscription(),
        client_order_id: None,
        created: 0,
        updated: 0,
        deadline: 0,
        state: WriteState::Waiting,
        reason: None,
        hold: None,
        card: None,
        tid: None,
        cntr: None,
        resent: 0,
        cancel: false,
        seq: 0,
        written_at: None,
        ended_at: None,
        bearer: None,
        retry_of: None,
        imei_verified: None,
        profile: None,
        decided: None,
        plan: None,
    }
}

pub(crate) fn full_device() -> Device {
    let waiting = vec![write_id(0xA1), write_id(0xA2)];
    Device { imei: imei(), card: Some(card_id(0xCA)), since: NOW, waiting }
}

pub(crate) fn minimal_device() -> Device {
    Device { imei: imei(), card: None, since: 0, waiting: vec![] }
}

pub(crate) fn claim_of_write() -> Claim {
    Claim { holder: Holder::Write(write_id(0xA1)) }
}

pub(crate) fn claim_of_card() -> Claim {
    Claim { holder: Holder::Card(card_id(0xCA)) }
}

pub(crate) fn full_idempotency() -> IdempotencyKey {
    IdempotencyKey { write: write_id(0xA1), body_digest: [0xD1; 32], at: NOW }
}

pub(crate) fn minimal_idempotency() -> IdempotencyKey {
    IdempotencyKey { write: write_id(0), body_digest: [0; 32], at: 0 }
}

pub(crate) fn full_sealed_parts() -> SealedParts {
    let parts = vec![vec![0x07, 0x00, 0x03, 0x01, 0x02, 0x01, 0x70, 0x00], vec![0x05, 0x00, 0x03]];
    SealedParts {
        kvn: 15,
        spi1: 0x16,
        spi2: 0x19,
        tar: [0xB0, 0x00, 0x01],
        parts,
        sealed_at: 0,
        originator: None,
    }
}

pub(crate) fn minimal_sealed_parts() -> SealedParts {
    SealedParts { kvn: 0, spi1: 0, spi2: 0, tar: [0; 3], parts: vec![], sealed_at: 0, originator: None }
}

pub(crate) fn full_fact() -> FactRecord {
    FactRecord {
        at: NOW,
        owner: owner("acme"),
        kind: "write.effective".to_owned(),
        card: Some(card_id(0xCA)),
        seq: 99,
        write: Some((write_id(0xA1), 5)),
        imei: Some(imei()),
        detail: "to 123".to_owned(),
        link: None,
    }
}

pub(crate) fn minimal_fact() -> FactRecord {
    FactRecord {
        at: 0,
        owner: owner("a"),
        kind: String::new(),
        card: None,
        seq: 0,
        write: None,
        imei: None,
        detail: String::new(),
        link: None,
    }
}

pub(crate) fn fact_of_link() -> FactRecord {
    FactRecord {
        kind: "link.refused".to_owned(),
        card: None,
        seq: 2,
        write: None,
        imei: None,
        detail: "ESME_RINVPASWD".to_owned(),
        link: Some("north".to_owned()),
        ..full_fact()
    }
}

pub(crate) fn full_link() -> LinkRecord {
    LinkRecord { kind: "link.refused".to_owned(), detail: "ESME_RINVPASWD".to_owned(), seq: 2 }
}

pub(crate) fn minimal_link() -> LinkRecord {
    LinkRecord { kind: String::new(), detail: String::new(), seq: 0 }
}

pub(crate) fn full_outbox() -> OutboxRecord {
    OutboxRecord { attempts: 3, not_before: NOW + 1, first_tried: NOW + 2, ..OutboxRecord::new(full_fact()) }
}

pub(crate) fn minimal_outbox() -> OutboxRecord {
    OutboxRecord::new(minimal_fact())
}

pub(crate) fn full_stray() -> StrayRecord {
    StrayRecord {
        at: NOW,
        link: "east".to_owned(),
        source: "+447797704848".to_owned(),
        destination: "4455".to_owned(),
        reason: "no card has this number".to_owned(),
        user_data: vec![0x02, 0x70, 0x00, 0xFF],
        udhi: false,
    }
}

pub(crate) fn minimal_stray() -> StrayRecord {
    let empty = String::new;
    StrayRecord {
        at: 0,
        link: empty(),
        source: empty(),
        destination: empty(),
        reason: empty(),
        user_data: vec![],
        udhi: false,
    }
}

pub(crate) fn full_inbox() -> InboxRecord {
    InboxRecord::DeviceMoved { imei: imei(), to: card_id(0xCA) }
}

pub(crate) fn minimal_inbox() -> InboxRecord {
    InboxRecord::DeviceMoved { imei: imei(), to: card_id(0) }
}

pub(crate) fn full_api_key() -> ApiKey {
    ApiKey {
        id: "key_17".to_owned(),
        owner: owner("acme"),
        digest: [0xD1; 32],
        created: NOW,
        revoked: true,
        name: "warehouse".to_owned(),
        scopes: vec![],
    }
}

pub(crate) fn minimal_api_key() -> ApiKey {
    ApiKey {
        id: String::new(),
        owner: owner("a"),
        digest: [0; 32],
        created: 0,
        revoked: false,
        name: String::new(),
        scopes: vec![],
    }
}

pub(crate) fn full_part_set() -> PartSet {
    PartSet { total: 3, parts: vec![(3, vec![0x33; 3]), (1, vec![])], created: NOW, done: true }
}

pub(crate) fn minimal_part_set() -> PartSet {
    PartSet { total: 0, parts: vec![], created: 0, done: false }
}

// What version 2 of the bodies has more.

/// A card on site, with everything that version 1 did not have.
pub(crate) fn on_site_card() -> Card {
    let card = full_card();
    let mut active = card.active.clone().expect("a write");
    active.order.bearer = Some(Bearer::Relay);
    let active = Active {
        bearer: Bearer::Relay,
        state: WriteState::OnSite,
        hold: None,
        refused_in_clear: true,
        ..active
    };
    Card {
        binding: card.binding.clone().map(|binding| Binding { answered: None, ..binding }),
        held: Some(HeldBinding { imei: imei(), tid: Some(3), mo_cntr: 301, since: NOW + 12 }),
        claimed: Some(Claimed { imei: imei(), since: NOW + 13, tid: Some(4), from: Some(msisdn("123")) }),
        active: Some(active),
        outstanding: Some(Outstanding {
            purpose: Purpose::Write,
            bearer: Bearer::Relay,
            cntr: cntr(41),
            legs: vec![],
            repeated: false,
            low_at: None,
            acknowledges: None,
            reads: None,
        }),
        notice: card
            .notice
            .clone()
            .map(|notice| Notice { leg: Leg { receipt: Some(false), ..notice.leg }, ..notice }),
        ask: true,
        asked_at: NOW + 14,
        restored: true,
        ..card
    }
}

/// The same with as little as may be.
pub(crate) fn claimed_card() -> Card {
    Card {
        binding: Some(Binding { imei: imei(), since: 0, mo_cntr: 0, answered: None }),
        held: Some(HeldBinding { imei: imei(), tid: None, mo_cntr: 0, since: 0 }),
        claimed: Some(Claimed { imei: imei(), since: 0, tid: None, from: None }),
        ..minimal_card()
    }
}

pub(crate) fn retried_write() -> Write {
    Write {
        state: WriteState::OnSite,
        bearer: Some(Bearer::Relay),
        retry_of: Some(write_id(0xA0)),
        imei_verified: Some(false),
        profile: Some("applet".to_owned()),
        ..full_write()
    }
}

pub(crate) fn write_over_the_air() -> Write {
    Write { bearer: Some(Bearer::Sms), imei_verified: Some(true), ..minimal_write() }
}

/// Of a card that has been spoken for, and has another number than before.
pub(crate) fn hinted_card() -> Card {
    let mut hints = Hints::default();
    hints.0[1] = Told { at: NOW, untold: 300 };
    Card { previous: Some(short_subscription()), replaced_at: NOW + 5, hints, ..minimal_card() }
}

pub(crate) fn write_as_ordered() -> Write {
    Write { bearer: None, decided: Some(Bearer::Sms), ..minimal_write() }
}

pub(crate) fn exported_parts() -> SealedParts {
    SealedParts { sealed_at: NOW, originator: Some((0x91, "882370000001".to_owned())), ..full_sealed_parts() }
}

pub(crate) fn contested_inbox() -> InboxRecord {
    InboxRecord::Contested { imei: imei(), by: card_id(0xCA) }
}

pub(crate) fn scoped_api_key() -> ApiKey {
    ApiKey { scopes: vec!["writes".to_owned(), "cards:read".to_owned()], ..full_api_key() }
}

pub(crate) fn failed_outbox() -> OutboxRecord {
    OutboxRecord { error: "answered 500 Internal Server Error".to_owned(), ..full_outbox() }
}

pub(crate) fn full_endpoint() -> Endpoint {
    Endpoint {
        id: "end_0123456789abcdef".to_owned(),
        owner: owner("acme"),
        url: "https://example.net/hooks".to_owned(),
        name: "warehouse".to_owned(),
        sealed_secret: vec![0x5E; 40],
        created: NOW,
    }
}

pub(crate) fn minimal_endpoint() -> Endpoint {
    let empty = String::new;
    Endpoint {
        id: empty(),
        owner: owner("a"),
        url: empty(),
        name: empty(),
        sealed_secret: vec![],
        created: 0,
    }
}

pub(crate) fn secured_stray() -> StrayRecord {
    StrayRecord { udhi: true, ..full_stray() }
}

/// A card whose files are written by scripts; one of them stopped.
pub(crate) fn scripted_card() -> Card {
    let card = on_site_card();
    let active = card.active.clone().map(|active| Active {
        step: 2,
        failure: Some(StepFailure { command: 3, status: Some(StatusWord(0x6A82)) }),
        ..active
    });
    let reads = Some(Reads { tar: Tar([0xB0, 0x00, 0x10]), file: ReadFile::Imsi });
    let outstanding = card.outstanding.clone();
    Card {
        active,
        outstanding: outstanding.map(|packet| Outstanding { purpose: Purpose::Poll, reads, ..packet }),
        unsettled: vec![Unsettled { write: write_id(0xC1), tid: 5, target: short_subscription(), step: 1 }],
        ..card
    }
}

pub(crate) fn scripted_write() -> Write {
    Write { plan: Some(WritePlan { scripts: 2, parts: 5, messages: 7, step: 1 }), ..minimal_write() }
}
