//! A card by hand: it can say what no simulated card would.

use airwrite::applet::{
    BindingRequest, LastState, Message, PollAnswer, Trigger, WriteCard, WriteResult, WriteStatus, detail,
};
use airwrite::card::Subscription;
use airwrite::identity::{Eid, Imei, Imsi};
use airwrite::ota::comprehension_tlv::{find, read_all, read_ber, tag};
use airwrite::ota::tp::Deliver;
use airwrite::ota::{
    Cntr, CommandHeader, KeySet, ResponseHeader, Rsc, Spi1, Spi2, Tar, UserData, command, response,
};
use airwrite::sim::card::MO_TAR;
use airwrite::smpp::Sm;

use super::scene::Scene;

/// A card of the sample, in the device of the same number.
pub(crate) struct HandCard {
    keys: KeySet,
    pub(crate) eid: Eid,
    pub(crate) imei: Imei,
    /// What it has from the factory; where it has nothing, numbers that nobody has.
    pub(crate) preset: Subscription,
    /// Its own counter.
    pub(crate) mo: u64,
}

/// A packet to the card, opened.
#[derive(Debug, Clone)]
pub(crate) struct Packet {
    pub(crate) tar: Tar,
    pub(crate) cntr: Cntr,
    pub(crate) asked: Spi2,
    pub(crate) message: Message,
}

impl HandCard {
    pub(crate) fn new(scene: &Scene, index: usize) -> Self {
        let row = &scene.sample.cards[index];
        Self {
            keys: row.keys[0].key_set().unwrap(),
            eid: row.eid.unwrap(),
            imei: scene.imei(index),
            preset: row.preset.clone().unwrap_or_else(nothing),
            mo: 0,
        }
    }

    /// Opens a packet of one part.
    pub(crate) fn open(&self, sm: &Sm) -> Packet {
        self.open_packet(&UserData::parse(&sm.user_data()).unwrap().payload)
    }

    /// Opens a packet of one part that comes as an APDU: `80 C2 00 00 Lc D1 …`.
    pub(crate) fn open_apdus(&self, apdus: &[Vec<u8>]) -> Packet {
        let [apdu] = apdus else { panic!("one part: {apdus:02X?}") };
        assert_eq!(apdu[..4], [0x80, 0xC2, 0, 0]);
        let (envelope, rest) = read_ber(&apdu[5..]).unwrap();
        assert!(rest.is_empty());
        let objects = read_all(envelope.value).unwrap();
        let tpdu = Deliver::parse(find(&objects, tag::SMS_TPDU).unwrap()).unwrap();
        self.open_packet(&UserData::parse(&tpdu.user_data).unwrap().payload)
    }

    /// Opens a packet, from CPL on.
    pub(crate) fn open_packet(&self, packet: &[u8]) -> Packet {
        let opened = command::open(packet, &self.keys).unwrap();
        Packet {
            tar: opened.header.tar,
            cntr: opened.header.cntr,
            asked: opened.header.spi2,
            message: Message::from_der(&opened.data).unwrap(),
        }
    }

    /// A message of its own under the next counter, as a whole TP-UD.
    pub(crate) fn message(&mut self, message: &Message) -> Vec<u8> {
        self.mo += 1;
        self.message_at(self.mo, Spi1::CC_CIPHERED_HIGHER, message)
    }

    /// A message of its own under any counter and at any level.
    pub(crate) fn message_at(&self, cntr: u64, spi1: Spi1, message: &Message) -> Vec<u8> {
        command_user_data(&self.packet_at(cntr, spi1, message))
    }

    /// A message of its own under another TAR than it should have.
    pub(crate) fn message_under(&self, tar: Tar, cntr: u64, message: &Message) -> Vec<u8> {
        let (spi1, cntr) = (Spi1::CC_CIPHERED_HIGHER, Cntr::try_from(cntr).unwrap());
        let header = CommandHeader::new(spi1, Spi2::NO_POR, &self.keys, tar, cntr);
        command_user_data(&command::seal(&header, &self.keys, &message.to_der().unwrap()).unwrap())
    }

    pub(crate) fn keys(&self) -> &KeySet {
        &self.keys
    }

    /// The same, from CPL on.
    pub(crate) fn packet_at(&self, cntr: u64, spi1: Spi1, message: &Message) -> Vec<u8> {
        let cntr = Cntr::try_from(cntr).unwrap();
        let header = CommandHeader::new(spi1, Spi2::NO_POR, &self.keys, MO_TAR, cntr);
        command::seal(&header, &self.keys, &message.to_der().unwrap()).unwrap()
    }

    /// What it says about the device it is in.
    pub(crate) fn binding_request(&self, tid: u32, imei: Imei) -> Message {
        let (eid, trigger) = (self.eid, Trigger::Boot);
        Message::BindingRequest(BindingRequest { tid, imei, eid, imsi: None, trigger, app_version: 1 })
    }

    /// What became of a write, and what the card is now.
    pub(crate) fn result(&self, tid: u32, status: WriteStatus, imsi: Imsi) -> Message {
        let (eid, imei, imsi) = (self.eid, self.imei, Some(imsi));
        Message::WriteResult(WriteResult { tid, eid, imsi, imei, status, detail: 0, mt_counter: 0 })
    }

    /// The refusal of a write, because another one is under way.
    pub(crate) fn busy(&self, tid: u32, imsi: Imsi) -> Message {
        match self.result(tid, WriteStatus::Refused, imsi) {
            Message::WriteResult(result) => {
                Message::WriteResult(WriteResult { detail: detail::BUSY, ..result })
            }
            other => other,
        }
    }

    /// The answer to a poll: how far the write `last_tid` came, and what the card is now.
    pub(crate) fn state(&self, poll: u32, last_tid: u32, last_state: LastState, imsi: Imsi) -> Message {
        Message::PollAnswer(PollAnswer {
            tid: poll,
            eid: self.eid,
            imei: self.imei,
            imsi: Some(imsi),
            binding_flag: true,
            last_tid,
            last_state,
            mo_counter: self.mo,
        })
    }

    /// The PoR to `packet` at the level `level`, as a whole TP-UD.
    pub(crate) fn por_at(&self, packet: &Packet, level: Spi2, rsc: Rsc, data: Option<&Message>) -> Vec<u8> {
        let header = ResponseHeader { tar: packet.tar, cntr: packet.cntr, rsc };
        let data = data.map_or_else(Vec::new, |data| data.to_der().unwrap());
        response_user_data(&response::seal(&header, level, &self.keys, &data).unwrap())
    }

    /// The PoR to `packet` as it was asked for.
    pub(crate) fn por(&self, packet: &Packet, rsc: Rsc, data: Option<&Message>) -> Vec<u8> {
        self.por_at(packet, packet.asked, rsc, data)
    }
}

impl Packet {
    /// The write that it carries.
    pub(crate) fn write(&self) -> Option<&WriteCard> {
        match &self.message {
            Message::WriteCard(write) => Some(write),
            _ => None,
        }
    }
}

fn nothing() -> Subscription {
    let (imsi, msisdn) = ("001019999999999".parse().unwrap(), "861069999999999".parse().unwrap());
    Subscription { imsi, msisdn, iccid: None, smsc: None }
}

/// A command packet as a TP-UD of one part.
pub(crate) fn command_user_data(packet: &[u8]) -> Vec<u8> {
    [&[2, 0x70, 0], packet].concat()
}

/// A response packet as a TP-UD of one part.
pub(crate) fn response_user_data(packet: &[u8]) -> Vec<u8> {
    [&[2, 0x71, 0], packet].concat()
}
