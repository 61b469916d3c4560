//! The platform behind Kannel, as far as this needs one: packets to the card and from it.

use airwrite::applet::{BindingAck, BindingResult, Message, Refresh, WriteCard};
use airwrite::identity::Msisdn;
use airwrite::ota::{CommandHeader, KeySet, Rsc, Spi1, Spi2, command, response};
use airwrite::sim::card::MT_TAR;

use super::operator::Operator;

/// What Kannel has brought.
#[derive(Debug)]
pub(super) enum Heard {
    /// A message of the card's own.
    Own { from: Msisdn, message: Message },
    /// The answer to a command.
    Por { from: Msisdn, rsc: Rsc },
    /// A delivery receipt, in Kannel's numbers.
    Receipt { status: u8 },
}

impl Heard {
    /// A short message: the user data header as Kannel writes it, and what follows it.
    pub(super) fn of_sm(from: Msisdn, header: &str, packet: &[u8], keys: &KeySet) -> Self {
        match header {
            "%02p%00" => {
                let opened = command::open(packet, keys).expect("a command packet of the card");
                Self::Own { from, message: Message::from_der(&opened.data).unwrap() }
            }
            "%02q%00" => {
                let opened = response::open(packet, ASKED, keys).expect("a response packet of the card");
                Self::Por { from, rsc: opened.rsc }
            }
            _ => panic!("user data header {header}"),
        }
    }
}

/// A PoR by SMS-SUBMIT, ciphered and with a CC.
const ASKED: Spi2 = Spi2::POR_CC_CIPHERED_BY_SUBMIT;

/// The command packet from CPL on.
pub(super) fn packet(keys: &KeySet, cntr: u64, message: &Message) -> Vec<u8> {
    let cntr = cntr.try_into().unwrap();
    let header = CommandHeader::new(Spi1::CC_CIPHERED_HIGHER, ASKED, keys, MT_TAR, cntr);
    command::seal(&header, keys, &message.to_der().unwrap()).unwrap()
}

/// The write of the operator's card, which also acknowledges its binding request.
pub(super) fn order(operator: &Operator, binding: u32) -> Message {
    Message::WriteCard(WriteCard {
        tid: 7,
        imei: operator.imei,
        eid: operator.eid,
        iccid: None,
        imsi: operator.target.imsi,
        msisdn: operator.target.msisdn,
        smsc: None,
        refresh: Refresh::UiccReset,
        rollback: true,
        binding_ack: Some(BindingAck { tid: binding, result: BindingResult::Saved }),
        key_block: None,
    })
}
