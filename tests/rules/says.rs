//! What a card says in a row, or somebody in its place.

use airwrite::applet::{LastState, Message, WriteStatus};
use airwrite::cli::sample::Target;
use airwrite::identity::Msisdn;
use airwrite::ota::{Cntr, ResponseHeader, Rsc, Spi1, Spi2, response};

use crate::common::hand_card::{Packet, command_user_data, response_user_data};
use crate::common::smsc::{message, plain_message};
use crate::play::Play;
use crate::row::{Cleared, From, Junk, Over, Piece, Says};

impl Play {
    /// The subscription ordered last.
    pub(crate) fn target(&self) -> Target {
        self.scene.sample.targets[self.writes.len() - 1]
    }

    pub(crate) fn number(&self, from: From) -> Msisdn {
        match from {
            From::Preset => self.card.preset.msisdn,
            From::Target => self.target().msisdn,
            From::Stranger => "4915112345678".parse().unwrap(),
        }
    }

    /// The transaction id of the write that went out last.
    pub(crate) fn tid(&self) -> u32 {
        self.packets.iter().rev().find_map(Packet::write).unwrap().tid
    }

    pub(crate) fn first_write(&self) -> &Packet {
        self.packets.iter().find(|packet| packet.write().is_some()).unwrap()
    }

    /// A secured message under the next counter.
    pub(crate) async fn say(&mut self, from: From, what: &Message) {
        let user_data = self.card.message(what);
        self.deliver(message(self.number(from).as_str(), user_data)).await;
    }

    pub(crate) async fn por(&mut self, packet: &Packet, level: Spi2, rsc: Rsc, says: Says) {
        let data = self.data(packet, says);
        let user_data = self.card.por_at(packet, level, rsc, data.as_ref());
        self.deliver(message(self.card.preset.msisdn.as_str(), user_data)).await;
    }

    /// The PoR to the last packet in three parts. Those of others have other octets, so that none of them opens.
    pub(crate) async fn por_in_parts(&mut self, pieces: &[(Piece, Over)]) {
        let packet = self.packets.last().unwrap().clone();
        let data = self.data(&packet, Says::Accepted);
        let whole = self.card.por(&packet, Rsc::OK, data.as_ref());
        let payload = &whole[3..];
        let others: Vec<u8> = payload.iter().map(|octet| !octet).collect();
        let number = self.card.preset.msisdn;
        for (piece, over) in pieces {
            let (from, part) = match *piece {
                Piece::Part(n) => (number, part(n, payload)),
                Piece::Strangers(n) => (self.number(From::Stranger), part(n, &others)),
                Piece::Namesakes(n) | Piece::Another(n) => (number, part(n, &others)),
            };
            let mut sm = message(from.as_str(), part);
            if matches!(piece, Piece::Namesakes(_)) {
                sm.source.ton = 2;
            }
            match over {
                Over::First => self.deliver(sm).await,
                Over::Second => {
                    self.second.as_mut().unwrap().send(&sm).await;
                    self.settle().await;
                }
            }
        }
    }

    pub(crate) fn data(&self, packet: &Packet, says: Says) -> Option<Message> {
        let old = self.card.preset.imsi;
        let state =
            |last_tid, state, imsi| Some(self.card.state(packet.message.tid(), last_tid, state, imsi));
        match says {
            Says::Nothing => None,
            Says::Accepted => Some(self.card.result(packet.message.tid(), WriteStatus::Accepted, old)),
            Says::Refused => Some(self.card.result(packet.message.tid(), WriteStatus::Refused, old)),
            Says::Busy => Some(self.card.busy(packet.message.tid(), old)),
            Says::NeverHeardOfIt => state(0, LastState::None, old),
            Says::State(LastState::Confirmed) => state(self.tid(), LastState::Confirmed, self.target().imsi),
            Says::State(last) => state(self.tid(), last, old),
        }
    }

    /// A PoR without any check, as anybody can make it.
    pub(crate) async fn clear_por(&mut self, rsc: Rsc, cleared: Cleared, from: From) {
        let packet = self.packets.last().unwrap();
        let cntr = match cleared {
            Cleared::Cntr => packet.cntr,
            Cleared::Zero => Cntr::try_from(0).unwrap(),
            Cleared::OtherCntr => Cntr::try_from(packet.cntr.get() + 7).unwrap(),
        };
        let header = ResponseHeader { tar: packet.tar, cntr, rsc };
        let clear = response::seal(&header, Spi2(0x21), self.card.keys(), &[]).unwrap();
        self.deliver(message(self.number(from).as_str(), response_user_data(&clear))).await;
    }

    pub(crate) async fn junk(&mut self, junk: Junk) {
        let number = self.card.preset.msisdn;
        let number = number.as_str();
        let request = self.card.binding_request(102, self.scene.imei(1));
        let next = self.card.mo + 1;
        match junk {
            Junk::WrongCheck => {
                let mut packet = self.card.packet_at(next, Spi1::CC_CIPHERED_HIGHER, &request);
                *packet.last_mut().unwrap() ^= 1;
                self.deliver(message(number, command_user_data(&packet))).await;
            }
            Junk::Unsecured => {
                let user_data = self.card.message_at(next, Spi1::NONE, &request);
                self.deliver(message(number, user_data)).await;
            }
            Junk::UsedCounter => {
                let user_data = self.card.message_at(self.card.mo, Spi1::CC_CIPHERED_HIGHER, &request);
                self.deliver(message(number, user_data)).await;
            }
            Junk::OldCounter => {
                self.card.mo += 100;
                let repeated = self.card.binding_request(103, self.card.imei);
                self.say(From::Preset, &repeated).await;
                self.answers.clear();
                let user_data = self.card.message_at(1, Spi1::CC_CIPHERED_HIGHER, &request);
                self.deliver(message(number, user_data)).await;
            }
            Junk::Reflected => {
                let octets = self.contents[&self.packets.last().unwrap().cntr].to_vec();
                self.deliver(message(number, octets)).await;
            }
            Junk::UnderMtTar => {
                let tar = self.packets.last().unwrap().tar;
                let user_data = self.card.message_under(tar, next, &request);
                self.deliver(message(number, user_data)).await;
            }
            Junk::Stranger => {
                let user_data = self.card.message_at(next, Spi1::CC_CIPHERED_HIGHER, &request);
                self.deliver(message(self.number(From::Stranger).as_str(), user_data)).await;
            }
            Junk::Unreadable => self.deliver(message(number, vec![0xFF; 40])).await,
            Junk::PlainText => self.deliver(plain_message(number, b"hello".to_vec())).await,
            Junk::PlainBinding(device) => {
                let request = self.card.binding_request(104, self.scene.imei(device));
                self.deliver(plain_message(number, request.to_der().unwrap())).await;
            }
            Junk::RawImei(device) => {
                let octets = self.scene.imei(device).to_mobile_identity().to_vec();
                self.deliver(plain_message(number, octets)).await;
            }
            Junk::CommandAndRawImei(device) => {
                let octets = [&[0xF8], &self.scene.imei(device).to_mobile_identity()[..]].concat();
                self.deliver(plain_message(number, octets)).await;
            }
            Junk::PlainResult(status) => {
                let result = self.card.result(self.tid(), status, self.target().imsi);
                self.deliver(plain_message(self.number(From::Target).as_str(), result.to_der().unwrap()))
                    .await;
            }
            Junk::MalformedPdu => {
                // deliver_sm, sequence 77, whose body ends within the service_type.
                let pdu = [&[0, 0, 0, 20, 0, 0, 0, 5], &[0; 4][..], &[0, 0, 0, 77], b"CMT "].concat();
                self.smsc.as_mut().unwrap().send_octets(&pdu).await;
                self.settle().await;
            }
        }
    }
}

/// One of the three parts of a response packet, as a whole TP-UD.
fn part(number: u8, payload: &[u8]) -> Vec<u8> {
    let third = payload.len().div_ceil(3);
    let octets = payload.chunks(third).nth(usize::from(number) - 1).unwrap();
    let header: &[u8] = if number == 1 { &[7, 0, 3, 9, 3, 1, 0x71, 0] } else { &[5, 0, 3, 9, 3, number] };
    [header, octets].concat()
}
