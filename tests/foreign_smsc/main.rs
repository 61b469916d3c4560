//! A binding and a write through a message centre that is built on another SMPP stack: what is asserted of PDUs is what
//! that stack reads out of our octets.

mod platform;
mod smsc;
#[path = "../common/terminal.rs"]
mod terminal;

use std::time::Duration;

use airwrite::card::{End, WriteState};
use airwrite::cli::sample::{Sample, device_imei, sample};
use airwrite::gateway::import::CardRow;
use airwrite::identity::Msisdn;
use airwrite::sim::{CardSpec, Preset};
use airwrite::store::records::FactRecord;
use platform::Platform;
use rusmpp::CommandStatus;
use rusmpp::pdus::SubmitSm;
use rusmpp::values::{GsmFeatures, Npi, Ton};
use smsc::{Smsc, delivered_receipt};
use terminal::Terminal;

/// registered_delivery (§5.2.17).
const NO_RECEIPT: u8 = 0;
const FINAL_RECEIPT: u8 = 1;

/// R15: the packet goes to the preset number of the card. R26: the result comes from the new one, and is this write's.
#[tokio::test]
async fn a_binding_and_a_write_through_a_foreign_message_centre() {
    let Sample { cards, targets } = sample(1, 31).unwrap();
    let (spec, preset, target) = (spec(&cards[0]), preset(&cards[0]), targets[0]);
    let subscribers = [(preset.imsi, preset.msisdn), (target.imsi, target.msisdn)];
    let mut terminal = Terminal::new(&spec, subscribers);
    let mut smsc = Smsc::listen().await;
    let platform = Platform::start(smsc.address(), &cards[0]).await;
    smsc.accept_bind().await;
    smsc.enquire().await;

    // The card asks to be bound; its answer is taken without a message id.
    terminal.switch_on();
    let [request] = smsc.collect(&mut terminal).try_into().expect("one binding request");
    assert_eq!(smsc.deliver(&request).await, CommandStatus::EsmeRok);
    let answer = smsc.submission().await;
    assert_secured_packet(&answer.sm, preset.msisdn, NO_RECEIPT);
    smsc.store(&answer);
    smsc.accept(&answer, "").await;
    assert!(smsc.forward(&mut terminal).is_empty(), "a binding response asks for no answer");
    assert!(terminal.card().binding_flag);

    // The same request again: the same answer again, and told as what it is.
    let (_, before) = platform.settled().await;
    assert_eq!(kinds(&before), ["binding.created"]);
    assert_eq!(smsc.deliver(&request).await, CommandStatus::EsmeRok);
    let again = smsc.submission().await;
    assert_eq!(
        again.sm.short_message(),
        answer.sm.short_message(),
        "nothing newer went out: the same octets"
    );
    smsc.accept(&again, "").await;
    let (_, after) = platform.settled().await;
    assert_eq!(kinds(&after), ["binding.created", "binding.repeated"]);

    // The write, at first more than the message centre wants: nothing is stored.
    let write = platform.order(spec.imei, target).await;
    let refused = smsc.submission().await;
    assert_secured_packet(&refused.sm, preset.msisdn, FINAL_RECEIPT);
    assert_ne!(refused.sm.short_message(), answer.sm.short_message());
    smsc.throttle(&refused).await;
    smsc.quiet(Duration::from_millis(500)).await;

    // Then the connection breaks in the middle of the response.
    let lost = smsc.submission().await;
    assert_eq!(lost.sm, refused.sm, "the same octets after ESME_RTHROTTLED");
    smsc.break_off(&lost).await;
    smsc.accept_bind().await;

    // Now it is taken. Receipt and PoR overtake the response.
    let taken = smsc.submission().await;
    assert_eq!(taken.sm, refused.sm, "the same octets after no answer");
    smsc.store(&taken);
    let [por, result] =
        smsc.forward(&mut terminal).try_into().expect("the PoR and, after REFRESH, the result");
    assert!(por.short_message().starts_with(&[0x02, 0x71, 0x00]));
    assert_eq!(por.source_addr.as_str(), preset.msisdn.as_str());
    assert_eq!(result.source_addr.as_str(), target.msisdn.as_str());
    let message_id = smsc.message_id();
    let receipt = delivered_receipt(&taken, &message_id);
    assert_eq!(smsc.deliver(&receipt).await, CommandStatus::EsmeRok);
    assert_eq!(smsc.deliver(&por).await, CommandStatus::EsmeRok);
    assert_eq!(platform.write(write).await.state, WriteState::Written);
    smsc.accept(&taken, &message_id).await;

    // The card proves what it is now, and is told that this is known.
    assert_eq!(smsc.deliver(&result).await, CommandStatus::EsmeRok);
    let acknowledgement = smsc.submission().await;
    assert_secured_packet(&acknowledgement.sm, target.msisdn, NO_RECEIPT);
    smsc.store(&acknowledgement);
    let message_id = smsc.message_id();
    smsc.accept(&acknowledgement, &message_id).await;
    assert!(smsc.forward(&mut terminal).is_empty());
    let effective = platform.write(write).await;
    assert_eq!(effective.state, WriteState::Ended(End::Effective));
    assert_eq!(effective.resent, 1, "refused does not count, unanswered does");

    // Whatever comes once more changes nothing more.
    let settled = platform.settled().await;
    for sm in [&por, &result, &receipt, &request] {
        assert_eq!(smsc.deliver(sm).await, CommandStatus::EsmeRok);
    }
    smsc.quiet(Duration::from_millis(600)).await;
    assert!(smsc.enquiries > 0, "an idle link is enquired");
    let (repeated, told) = platform.settled().await;
    let (card, facts) = settled;
    assert_eq!((&repeated.binding, &repeated.current), (&card.binding, &card.current));
    let news: Vec<_> = told.iter().skip(facts.len()).map(|fact| fact.kind.as_str()).collect();
    assert!(news.iter().all(|kind| ["binding.repeated", "card.hint"].contains(kind)), "{news:?}");
    assert_eq!(platform.write(write).await, effective);

    let written = terminal.card();
    assert_eq!((written.ef_imsi, written.ef_msisdn), (Some(target.imsi), Some(target.msisdn)));
    assert_eq!(written.executed.into_values().collect::<Vec<_>>(), [1], "one write, carried out once");
    assert_eq!((written.last_state, written.cntr_conflicts), ("confirmed", Vec::new()));
    assert_eq!(card.current.map(|current| current.imsi), Some(target.imsi));
    assert_eq!(kinds(&facts).iter().filter(|kind| **kind == "write.effective").count(), 1);

    tokio::join!(platform.gateway.shutdown(Duration::from_secs(5)), smsc.unbound());
}

/// A submit_sm that carries a whole command packet (TS 31.115 §4.2) to a card, in the fields that SMSCs look at.
fn assert_secured_packet(sm: &SubmitSm, to: Msisdn, receipt: u8) {
    assert_eq!(sm.service_type.value().as_str(), "");
    assert_eq!((sm.source_addr_ton, sm.source_addr_npi), (Ton::NetworkSpecific, Npi::Unknown));
    assert_eq!(sm.source_addr.as_str(), CardSpec::SHORT_CODE);
    assert_eq!((sm.dest_addr_ton, sm.dest_addr_npi), (Ton::International, Npi::Isdn));
    assert_eq!(sm.destination_addr.as_str(), to.as_str());
    assert_eq!((sm.esm_class.gsm_features, u8::from(sm.esm_class)), (GsmFeatures::UdhiIndicator, 0x40));
    assert_eq!((sm.protocol_id, u8::from(sm.data_coding)), (0x7F, 0xF6));
    assert!(sm.schedule_delivery_time.is_empty());
    assert_eq!(sm.validity_period.as_str(), "000000000500000R", "five minutes from now");
    assert_eq!(u8::from(sm.registered_delivery), receipt);
    assert!(sm.short_message().starts_with(&[0x02, 0x70, 0x00]));
    assert!(sm.short_message().len() <= 140, "{} octets", sm.short_message().len());
    assert_eq!(sm.tlvs(), []);
}

fn kinds(facts: &[FactRecord]) -> Vec<&str> {
    facts.iter().map(|fact| fact.kind.as_str()).collect()
}

fn preset(row: &CardRow) -> Preset {
    let preset = row.preset.as_ref().unwrap();
    Preset { imsi: preset.imsi, msisdn: preset.msisdn }
}

fn spec(row: &CardRow) -> CardSpec {
    let keys = row.keys[0].key_set().unwrap();
    let spec = CardSpec::new(row.eid.unwrap(), row.iccid.unwrap(), device_imei(1).unwrap(), keys);
    CardSpec { preset: Some(preset(row)), ..spec }
}
