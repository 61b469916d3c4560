//! Messages without security, of cards whose profile says that they send such: claims that anybody could have made. What
//! they say counts only once the card has confirmed it, asked in a secured packet.

use crate::applet::Message;
use crate::card::{Card, ClaimSource, Dialect, Event};
use crate::gateway::Gateway;
use crate::gateway::job::{CardError, Input};
use crate::identity::{Imei, Msisdn};

use super::{Candidate, Refusal, Taken};

/// Octets of an IMEI as mobile identity.
const IMEI_OCTETS: usize = 8;

/// Most octets of the version that may follow a raw IMEI.
const VERSION_OCTETS_MAX: usize = 16;

/// Most octets of the command that may stand before a raw IMEI.
const COMMAND_OCTETS_MAX: usize = 4;

impl Gateway {
    /// A message in the dialect of the card's profile; a card that secures its messages is not heard without.
    pub(super) async fn take_plain(&self, from: Option<Msisdn>, octets: &[u8]) -> Result<Taken, CardError> {
        let Some(from) = from else { return Ok(Refusal::Unreadable.because("no sender")) };
        let mut candidates = self.candidates(from).await?;
        if candidates.is_empty() {
            return Ok(Refusal::UnknownCard.because(format!("no card has the number {from}")));
        }
        // Without a checksum the number has to say which card it is: who has it now comes first.
        candidates.sort_by_key(|candidate| rank(&candidate.card, from));
        let mut without_profile = None;
        let mut heard: Option<(&Card, Event)> = None;
        for Candidate { card, .. } in &candidates {
            let Some(profile) = self.profile(&card.profile) else {
                without_profile = Some(card.profile.clone());
                continue;
            };
            let Some((event, names_card)) = read(profile.mo.dialect, octets, from, card) else { continue };
            if names_card || heard.is_none() {
                heard = Some((card, event));
            }
            if names_card {
                break;
            }
        }
        match (heard, without_profile) {
            (Some((card, event)), _) => {
                self.on_card(card.id, Input::Event(event)).await?;
                Ok(Taken::Applied)
            }
            // It may be of the card whose profile is missing: it is not lost for that.
            (None, Some(profile)) => Err(CardError::NoProfile(profile)),
            (None, None) => {
                let refusal = Refusal::Plain.because("no card of this number sends such a message");
                self.warn_cards(&candidates, &refusal).await?;
                Ok(refusal)
            }
        }
    }
}

/// How near a number is to a card: who has it now, who is to have it, who had it.
fn rank(card: &Card, number: Msisdn) -> u8 {
    let target = card.active.as_ref().map(|active| &active.order.target);
    let is = |subscription: Option<&crate::card::Subscription>| {
        subscription.is_some_and(|subscription| subscription.msisdn == number)
    };
    match () {
        () if is(card.current.as_ref()) => 0,
        () if is(target) => 1,
        () if is(card.preset.as_ref()) => 2,
        () => 3,
    }
}

/// What a message says in a dialect, and whether it names this card; `None` where it is none of the dialect.
fn read(dialect: Dialect, octets: &[u8], from: Msisdn, card: &Card) -> Option<(Event, bool)> {
    let from = Some(from);
    match dialect {
        Dialect::Secured | Dialect::Silent => None,
        Dialect::Plain => match Message::from_der(octets).ok()? {
            Message::BindingRequest(request) => {
                let source = ClaimSource::PlainDer { tid: request.tid, eid: request.eid };
                let names_card = card.eid == Some(request.eid);
                Some((Event::Claim { imei: request.imei, from, source }, names_card))
            }
            Message::WriteResult(result) => {
                let names_card = card.eid == Some(result.eid);
                Some((Event::PlainResult { result, from }, names_card))
            }
            _ => None,
        },
        Dialect::RawImei => {
            let imei = raw_imei(octets)?;
            Some((Event::Claim { imei, from, source: ClaimSource::RawImei }, true))
        }
    }
}

/// An IMEI in 8 octets, perhaps with a version in ASCII behind it, or a short command in front of it.
///
/// No message is both: where the IMEI is behind a command, the half octet A that begins it stands among the
/// digits of what would be an IMEI at the start.
fn raw_imei(octets: &[u8]) -> Option<Imei> {
    let (first, version) = octets.split_at_checked(IMEI_OCTETS)?;
    let is_version = version.len() <= VERSION_OCTETS_MAX && version.iter().all(u8::is_ascii_graphic);
    let at_start = Imei::from_mobile_identity(first).ok().filter(|_| is_version);
    at_start.or_else(|| {
        let (command, last) = octets.split_at_checked(octets.len() - IMEI_OCTETS)?;
        let is_command = (1..=COMMAND_OCTETS_MAX).contains(&command.len());
        Imei::from_mobile_identity(last).ok().filter(|_| is_command)
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn raw_imei_with_and_without_version() {
        let octets = [0x4A, 0x44, 0x44, 0x44, 0x44, 0x44, 0x44, 0x47];
        let imei = Some("44444444444447".parse::<crate::identity::Imei14>().unwrap().into());
        assert_eq!(raw_imei(&octets), imei);
        assert_eq!(raw_imei(&[&octets[..], b"COTA0206"].concat()), imei);
        assert_eq!(raw_imei(&[&octets[..], b"\0"].concat()), None);
        assert_eq!(raw_imei(&[&octets[..], &[b'A'; 17]].concat()), None);
        assert_eq!(raw_imei(&octets[..7]), None);
        assert_eq!(raw_imei(b"any text"), None);
    }

    #[test]
    fn raw_imei_behind_a_command() {
        let octets = [0x4A, 0x44, 0x44, 0x44, 0x44, 0x44, 0x44, 0x47];
        let imei = raw_imei(&octets);
        assert!(imei.is_some());
        for command in [&[0xF8][..], &[0x00], b"BIND", &[0x4A]] {
            assert_eq!(raw_imei(&[command, &octets].concat()), imei, "{command:02X?}");
        }
        assert_eq!(raw_imei(&[b"BIND1", &octets[..]].concat()), None);
        assert_eq!(raw_imei(&[&[0xF8], &octets[..], b"COTA0206"].concat()), None);
        assert_eq!(raw_imei(&[0xF8]), None);
    }

    proptest! {
        #[test]
        fn an_imei_is_never_read_at_the_wrong_place(
            key in "[0-9]{14}", command in proptest::collection::vec(any::<u8>(), 1..=COMMAND_OCTETS_MAX), version in "[!-~]{0,16}",
        ) {
            let imei = Imei::from(key.parse::<crate::identity::Imei14>().unwrap());
            let octets = imei.to_mobile_identity();
            prop_assert_eq!(raw_imei(&[&octets[..], version.as_bytes()].concat()), Some(imei));
            prop_assert_eq!(raw_imei(&[&command, &octets[..]].concat()), Some(imei));
        }
    }
}
