//! Any record of every kind, within its limits.

use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use airwrite::applet::{BindingAck, BindingResult, WriteStatus};
use airwrite::card::{
    Active, Answer, Bearer, Binding, Card, CardId, Claimed, Counter, HeldBinding, Hints, Hold, Leg, LegState,
    MissingFiles, MoWindow, Notice, Order, Outstanding, Owed, Owner, Purpose, ReadFile, Reads, StepFailure,
    Subscription, Told, UNPROVEN_KINDS, Unsettled, WriteId, WriteState,
};
use airwrite::identity::{Eid, EidChecksum, Iccid, Imei, Imei14, Imsi, Msisdn};
use airwrite::ota::apdu::StatusWord;
use airwrite::ota::{Cntr, Tar};
use airwrite::store::records::{
    ApiKey, Claim, Device, Endpoint, FactRecord, Holder, IdempotencyKey, InboxRecord, LinkRecord,
    OutboxRecord, PartSet, SealedParts, StrayRecord, Write, WritePlan,
};

fn card_id() -> impl Strategy<Value = CardId> {
    any::<[u8; 16]>().prop_map(CardId::from_octets)
}

fn write_id() -> impl Strategy<Value = WriteId> {
    any::<[u8; 16]>().prop_map(WriteId::from_octets)
}

fn owner() -> impl Strategy<Value = Owner> {
    "[a-z0-9._-]{1,64}".prop_map(|name| name.parse().expect("an owner's name"))
}

fn imei() -> impl Strategy<Value = Imei> {
    "[0-9]{14}".prop_map(|digits| digits.parse::<Imei14>().expect("an IMEI's digits").into())
}

/// Right and wrong check digits alike: both are read from cards.
fn eid() -> impl Strategy<Value = Eid> {
    "[0-9]{32}".prop_map(|digits| Eid::parse(&digits, EidChecksum::Off).expect("an EID").0)
}

/// 18 to 20 digits, with and without a right check digit.
fn iccid() -> impl Strategy<Value = Iccid> {
    let last_octet = prop_oneof![Just("FF".to_owned()), "F[0-9]", "[0-9]{2}"];
    ("[0-9]{6}[0-9A-F]{10}[0-9]{2}", last_octet).prop_map(|(start, end)| {
        let octets = hex::decode(start + &end).expect("hexadecimal digits");
        Iccid::from_octets(&octets).expect("an ICCID")
    })
}

fn imsi() -> impl Strategy<Value = Imsi> {
    "[2-7][0-9]{13,14}".prop_map(|digits| digits.parse().expect("an IMSI"))
}

fn msisdn() -> impl Strategy<Value = Msisdn> {
    "[0-9]{3,15}".prop_map(|digits| digits.parse().expect("a number"))
}

fn cntr() -> impl Strategy<Value = Cntr> {
    (0..=Cntr::MAX.get()).prop_map(|number| Cntr::try_from(number).expect("a CNTR"))
}

fn subscription() -> impl Strategy<Value = Subscription> {
    (imsi(), msisdn(), of(iccid()), of(msisdn())).prop_map(|(imsi, msisdn, iccid, smsc)| Subscription {
        imsi,
        msisdn,
        iccid,
        smsc,
    })
}

fn state() -> impl Strategy<Value = WriteState> {
    proptest::sample::select(WriteState::NAMES.map(|(state, _)| state).to_vec())
}

fn hold() -> impl Strategy<Value = Hold> {
    Just(Hold::WrongDevice)
}

fn bearer() -> impl Strategy<Value = Bearer> {
    prop_oneof![Just(Bearer::Sms), Just(Bearer::Relay)]
}

fn ack() -> impl Strategy<Value = BindingAck> {
    let result =
        prop_oneof![Just(BindingResult::Saved), Just(BindingResult::Held), Just(BindingResult::Rejected),];
    (any::<u32>(), result).prop_map(|(tid, result)| BindingAck { tid, result })
}

fn answer() -> impl Strategy<Value = Answer> {
    let status = prop_oneof![
        Just(WriteStatus::Accepted),
        Just(WriteStatus::Confirmed),
        Just(WriteStatus::RolledBack),
        Just(WriteStatus::Refused),
    ];
    prop_oneof![
        ack().prop_map(Answer::Binding),
        (any::<u32>(), status).prop_map(|(tid, status)| Answer::Result { tid, status }),
    ]
}

fn leg() -> impl Strategy<Value = Leg> {
    let state = prop_oneof![
        any::<u64>().prop_map(|since| LegState::Ready { since }),
        any::<(u64, u64)>().prop_map(|(since, at)| LegState::Handed { since, at }),
        any::<(u64, u64)>().prop_map(|(at, silent_at)| LegState::Taken { at, silent_at }),
        any::<u64>().prop_map(|until| LegState::BackOff { until }),
        Just(LegState::Silent),
    ];
    (msisdn(), any::<u8>(), state, ".{0,20}", any::<Option<bool>>())
        .prop_map(|(to, attempt, state, message_id, receipt)| Leg { to, attempt, state, message_id, receipt })
}

fn reads() -> impl Strategy<Value = Reads> {
    let file = prop_oneof![Just(ReadFile::Imsi), Just(ReadFile::Iccid), Just(ReadFile::Nothing)];
    (any::<[u8; 3]>(), file).prop_map(|(tar, file)| Reads { tar: Tar(tar), file })
}

fn failure() -> impl Strategy<Value = StepFailure> {
    any::<(u8, Option<u16>)>()
        .prop_map(|(command, status)| StepFailure { command, status: status.map(StatusWord) })
}

fn outstanding() -> impl Strategy<Value = Outstanding> {
    let purpose = prop_oneof![Just(Purpose::Write), Just(Purpose::Poll)];
    let times = any::<(bool, Option<u64>)>();
    (purpose, bearer(), cntr(), vec(leg(), 0..=2), times, of(ack()), of(reads())).prop_map(
        |(purpose, bearer, cntr, legs, (repeated, low_at), acknowledges, reads)| Outstanding {
            purpose,
            bearer,
            cntr,
            legs,
            repeated,
            low_at,
            acknowledges,
            reads,
        },
    )
}

fn order() -> impl Strategy<Value = Order> {
    (write_id(), imei(), subscription(), any::<u64>(), any::<u32>(), of(bearer())).prop_map(
        |(id, imei, target, deadline, seq, bearer)| Order { id, imei, target, deadline, seq, bearer },
    )
}

fn active() -> impl Strategy<Value = Active> {
    let numbers = any::<(u32, u64, u64, u32, u8)>();
    let flags = any::<(bool, bool, bool, bool)>();
    let script = (any::<u8>(), of(failure()), any::<u32>().prop_map(MissingFiles));
    (order(), bearer(), state(), numbers, flags, of(cntr()), of(hold()), script).prop_map(
        |(order, bearer, state, numbers, flags, cntr, hold, (step, failure, missing))| {
            let (handed_out, accepted, cancel, refused_in_clear) = flags;
            let (tid, since, not_before, resent, polls) = numbers;
            Active {
                order,
                tid,
                bearer,
                state,
                since,
                not_before,
                cntr,
                handed_out,
                accepted,
                resent,
                polls,
                cancel,
                hold,
                refused_in_clear,
                step,
                failure,
                missing,
            }
        },
    )
}

fn counter() -> impl Strategy<Value = Counter> {
    (".{0,16}", any::<u64>(), any::<u64>()).prop_map(|(scope, last, epoch)| Counter { scope, last, epoch })
}

fn window() -> impl Strategy<Value = MoWindow> {
    (any::<u64>(), vec(any::<(u64, u64)>(), 0..=64))
        .prop_map(|(highest, seen)| MoWindow { highest, seen: seen.into() })
}

fn binding() -> impl Strategy<Value = Binding> {
    (imei(), any::<u64>(), any::<u64>(), of(ack())).prop_map(|(imei, since, mo_cntr, answered)| Binding {
        imei,
        since,
        mo_cntr,
        answered,
    })
}

fn held() -> impl Strategy<Value = HeldBinding> {
    (imei(), any::<Option<u32>>(), any::<u64>(), any::<u64>())
        .prop_map(|(imei, tid, mo_cntr, since)| HeldBinding { imei, tid, mo_cntr, since })
}

fn claimed() -> impl Strategy<Value = Claimed> {
    (imei(), any::<u64>(), any::<Option<u32>>(), of(msisdn())).prop_map(|(imei, since, tid, from)| Claimed {
        imei,
        since,
        tid,
        from,
    })
}

pub(crate) fn card() -> impl Strategy<Value = Card> {
    let identity = (card_id(), owner(), of(eid()), of(iccid()), ".{0,30}", any::<u8>());
    let subscriptions = (of(subscription()), of(subscription()), of(subscription()));
    let notice = (cntr(), leg(), answer()).prop_map(|(cntr, leg, says)| Notice { cntr, leg, says });
    let owed = (answer(), msisdn()).prop_map(|(answer, to)| Owed { answer, to });
    let unsettled = (write_id(), any::<(u32, u8)>(), subscription())
        .prop_map(|(write, (tid, step), target)| Unsettled { write, tid, target, step });
    let writes = (
        of(active()),
        vec(write_id(), 0..=8),
        of(outstanding()),
        of(notice),
        vec(owed, 0..=2),
        vec(unsettled, 0..=4),
        of((any::<u32>(), write_id())),
    );
    let relations = (vec(counter(), 0..=16), window(), of(binding()), of(held()), of(claimed()));
    let numbers = any::<(u32, u64, u64, bool, u64, u64)>();
    let hints = any::<[(u64, u32); UNPROVEN_KINDS]>()
        .prop_map(|kinds| Hints(kinds.map(|(at, untold)| Told { at, untold })));
    let questions = (any::<(bool, u64, bool)>(), any::<u64>(), hints);
    (identity, subscriptions, relations, writes, numbers, questions).prop_map(
        |(identity, subscriptions, relations, writes, numbers, questions)| {
            let (id, owner, eid, iccid, profile, kvn) = identity;
            let (preset, current, previous) = subscriptions;
            let (counters, mo, binding, held, claimed) = relations;
            let (active, queue, outstanding, notice, owed, unsettled, last_result) = writes;
            let (last_tid, woken_at, repeated_at, resync, resynced_at, seq) = numbers;
            let ((ask, asked_at, restored), replaced_at, hints) = questions;
            Card {
                id,
                owner,
                eid,
                iccid,
                profile,
                kvn,
                preset,
                current,
                previous,
                replaced_at,
                counters,
                mo,
                binding,
                held,
                claimed,
                last_tid,
                active,
                queue,
                outstanding,
                notice,
                owed,
                unsettled,
                last_result,
                woken_at,
                repeated_at,
                resync,
                resynced_at,
                ask,
                asked_at,
                restored,
                hints,
                seq,
            }
        },
    )
}

pub(crate) fn write() -> impl Strategy<Value = Write> {
    let order = (write_id(), owner(), imei(), subscription(), of(".{0,64}"));
    let times = any::<(u64, u64, u64, Option<u64>, Option<u64>)>();
    let standing = (state(), of(".{0,64}"), of(hold()), of(card_id()));
    let numbers = any::<(Option<u32>, Option<u64>, u32, bool, u32)>();
    let origin = (of(bearer()), of(write_id()), any::<Option<bool>>(), of(".{0,64}"), of(bearer()));
    let plan = any::<Option<[u32; 4]>>().prop_map(|plan| {
        plan.map(|[scripts, parts, messages, step]| WritePlan { scripts, parts, messages, step })
    });
    (order, times, standing, numbers, origin, plan).prop_map(
        |(order, times, standing, numbers, origin, plan)| {
            let (bearer, retry_of, imei_verified, profile, decided) = origin;
            let (id, owner, imei, target, client_order_id) = order;
            let (created, updated, deadline, written_at, ended_at) = times;
            let (state, reason, hold, card) = standing;
            let (tid, cntr, resent, cancel, seq) = numbers;
            Write {
                id,
                owner,
                imei,
                target,
                client_order_id,
                created,
                updated,
                deadline,
                state,
                reason,
                hold,
                card,
                tid,
                cntr,
                resent,
                cancel,
                seq,
                written_at,
                ended_at,
                bearer,
                retry_of,
                imei_verified,
                profile,
                decided,
                plan,
            }
        },
    )
}

pub(crate) fn device() -> impl Strategy<Value = Device> {
    (imei(), of(card_id()), any::<u64>(), vec(write_id(), 0..=8))
        .prop_map(|(imei, card, since, waiting)| Device { imei, card, since, waiting })
}

pub(crate) fn claim() -> impl Strategy<Value = Claim> {
    let holder = prop_oneof![write_id().prop_map(Holder::Write), card_id().prop_map(Holder::Card)];
    holder.prop_map(|holder| Claim { holder })
}

pub(crate) fn idempotency() -> impl Strategy<Value = IdempotencyKey> {
    (write_id(), any::<[u8; 32]>(), any::<u64>()).prop_map(|(write, body_digest, at)| IdempotencyKey {
        write,
        body_digest,
        at,
    })
}

pub(crate) fn sealed_parts() -> impl Strategy<Value = SealedParts> {
    let parts = vec(vec(any::<u8>(), 1..=255), 0..=16);
    let sealed = any::<(u8, u8, u8, [u8; 3], u64)>();
    let originator = of((any::<u8>(), "[0-9]{0,20}"));
    (sealed, parts, originator).prop_map(|((kvn, spi1, spi2, tar, sealed_at), parts, originator)| {
        SealedParts { kvn, spi1, spi2, tar, parts, sealed_at, originator }
    })
}

pub(crate) fn fact() -> impl Strategy<Value = FactRecord> {
    let about = (of(card_id()), of((write_id(), any::<u32>())), of(imei()));
    (any::<u64>(), owner(), "[a-z_.]{0,32}", about, any::<u64>(), ".{0,80}", of(".{1,20}")).prop_map(
        |(at, owner, kind, (card, write, imei), seq, detail, link)| FactRecord {
            at,
            owner,
            kind,
            card,
            seq,
            write,
            imei,
            detail,
            link,
        },
    )
}

pub(crate) fn outbox() -> impl Strategy<Value = OutboxRecord> {
    (fact(), any::<u32>(), any::<u64>(), any::<u64>(), ".{0,80}").prop_map(
        |(fact, attempts, not_before, first_tried, error)| OutboxRecord {
            fact,
            attempts,
            not_before,
            first_tried,
            error,
        },
    )
}

pub(crate) fn stray() -> impl Strategy<Value = StrayRecord> {
    let user_data = (vec(any::<u8>(), 0..=300), any::<bool>());
    (any::<u64>(), ".{0,20}", ".{0,20}", ".{0,20}", ".{0,80}", user_data).prop_map(
        |(at, link, source, destination, reason, (user_data, udhi))| StrayRecord {
            at,
            link,
            source,
            destination,
            reason,
            user_data,
            udhi,
        },
    )
}

pub(crate) fn link() -> impl Strategy<Value = LinkRecord> {
    ("[a-z.]{0,32}", ".{0,80}", any::<u64>()).prop_map(|(kind, detail, seq)| LinkRecord { kind, detail, seq })
}

pub(crate) fn inbox() -> impl Strategy<Value = InboxRecord> {
    prop_oneof![
        (imei(), card_id()).prop_map(|(imei, to)| InboxRecord::DeviceMoved { imei, to }),
        (imei(), card_id()).prop_map(|(imei, by)| InboxRecord::Contested { imei, by }),
    ]
}

pub(crate) fn endpoint() -> impl Strategy<Value = Endpoint> {
    let sealed = vec(any::<u8>(), 0..200);
    (".{0,40}", owner(), ".{0,80}", ".{0,64}", sealed, any::<u64>()).prop_map(
        |(id, owner, url, name, sealed_secret, created)| Endpoint {
            id,
            owner,
            url,
            name,
            sealed_secret,
            created,
        },
    )
}

pub(crate) fn api_key() -> impl Strategy<Value = ApiKey> {
    let scopes = vec("[a-z:]{1,20}", 0..4);
    (".{0,40}", owner(), any::<[u8; 32]>(), any::<u64>(), any::<bool>(), ".{0,64}", scopes).prop_map(
        |(id, owner, digest, created, revoked, name, scopes)| ApiKey {
            id,
            owner,
            digest,
            created,
            revoked,
            name,
            scopes,
        },
    )
}

pub(crate) fn part_set() -> impl Strategy<Value = PartSet> {
    let parts = (1..=60_u8).prop_flat_map(|total| {
        let part = (1..=total, vec(any::<u8>(), 0..=255));
        (Just(total), vec(part, 0..=usize::from(total)))
    });
    (parts, any::<u64>(), any::<bool>()).prop_map(|((total, parts), created, done)| PartSet {
        total,
        parts,
        created,
        done,
    })
}
