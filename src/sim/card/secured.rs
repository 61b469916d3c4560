//! The card's security layer: which command packets it takes, and what it says of those it does not.
//!
//! Octets are read and written by [`crate::ota`]; every decision is made here, in the order in which a card makes
//! them: is anybody there (TAR), is the level enough, are these my keys, does the CC hold, is the counter new.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use crate::ota::{
    Cntr, CommandHeader, CounterMode, KeySet, OpenError, OpenedCommand, PorRequest, ResponseHeader, Rsc,
    SealError, Spi1, Spi2, Tar, command, response,
};
use crate::sim::card::spec::CounterScope;

/// The write applet's address for commands to the card.
pub const MT_TAR: Tar = Tar([0x41, 0x57, 0x31]);
/// The address under which the card's own messages stand.
pub const MO_TAR: Tar = Tar([0x41, 0x57, 0x32]);
/// The least the applet takes: CC, ciphered, counter higher.
pub(super) const MIN_SPI1: Spi1 = Spi1::CC_CIPHERED_HIGHER;

/// Keys, counters, and what has been seen. All of it survives power off.
#[derive(Debug, Clone)]
pub(super) struct Secured {
    keys: KeySet,
    /// The applications that take commands, and the least security that each asks.
    applications: BTreeMap<Tar, Spi1>,
    scope: CounterScope,
    /// Counter of the last command that was taken, for each scope.
    mt: BTreeMap<Option<Tar>, Cntr>,
    /// Counter of the last message of the card's own.
    mo: Cntr,
    received: u64,
    /// Digest of the first authentic packet with each counter: a test instrument, not something a card has.
    seen: BTreeMap<Cntr, [u8; 32]>,
    conflicts: BTreeSet<Cntr>,
}

/// What comes of a command packet.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Authentic and new.
    Execute(OpenedCommand),
    /// Not taken, and the sender may know: the answer that it gets.
    Refuse(Por),
    /// Not taken, and nobody is told.
    Drop,
}

/// A response packet that is ready to go, from RPL on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Por {
    pub(super) packet: Vec<u8>,
    pub(super) by_submit: bool,
}

impl Secured {
    /// `applications` are the TARs that take commands, each with the least SPI1 that it takes.
    pub(super) const fn new(keys: KeySet, applications: BTreeMap<Tar, Spi1>, scope: CounterScope) -> Self {
        Self {
            keys,
            applications,
            scope,
            mt: BTreeMap::new(),
            mo: Cntr::ZERO,
            received: 0,
            seen: BTreeMap::new(),
            conflicts: BTreeSet::new(),
        }
    }

    /// Judges a command packet, from CPL on.
    pub(super) fn receive(&mut self, packet: &[u8]) -> Verdict {
        self.received += 1;
        let Ok(clear) = command::peek(packet) else { return Verdict::Drop };
        // Whoever has not proved anything gets no cryptogram to work on: the answer stays in clear.
        let in_clear = Spi2(clear.spi2.0 & !0x1C);
        let refuse = |secured: &Self, rsc| {
            let cntr = clear.cntr.unwrap_or_default();
            secured.refusal(ResponseHeader { tar: clear.tar, cntr, rsc }, in_clear)
        };
        let Some(minimum) = self.applications.get(&clear.tar) else {
            return refuse(self, Rsc::TAR_UNKNOWN);
        };
        if !clear.spi1.meets(*minimum) {
            return refuse(self, Rsc::LEVEL_TOO_LOW);
        }
        let opened = match command::open(packet, &self.keys) {
            Ok(opened) => opened,
            Err(OpenError::BadChecksum | OpenError::LevelMismatch { .. }) => {
                return refuse(self, Rsc::CHECK_FAILED);
            }
            Err(OpenError::BlockLength { .. } | OpenError::Padding { .. }) => {
                return refuse(self, Rsc::CIPHERING_ERROR);
            }
            Err(_) => return refuse(self, Rsc::SECURITY_ERROR),
        };
        self.remember(opened.header.cntr, packet);
        let CommandHeader { spi1, spi2, tar, cntr, .. } = opened.header;
        match self.take_counter(spi1.counter_mode(), tar, cntr) {
            Ok(()) => Verdict::Execute(opened),
            Err(rsc) => self.refusal(ResponseHeader { tar, cntr, rsc }, spi2),
        }
    }

    /// The response to a command that was executed, or ([`Rsc::FOLLOWS_BY_SUBMIT`]) is being executed; `None` where none
    /// is asked, or it is asked in a form that this card does not have.
    pub(super) fn por(&self, command: &CommandHeader, rsc: Rsc, data: &[u8]) -> Option<Por> {
        let header = ResponseHeader { tar: command.tar, cntr: command.cntr, rsc };
        (command.spi2.por() == PorRequest::Always).then(|| self.seal(&header, command.spi2, data)).flatten()
    }

    /// Secures a message of the card's own. The counter is spent before anything can be sent.
    pub(super) fn seal_own(&mut self, data: &[u8]) -> Result<Vec<u8>, SealError> {
        // At its end the counter stays: the platform refuses what it has seen, as it should.
        self.mo = self.mo.next().unwrap_or(Cntr::MAX);
        let header = CommandHeader::new(MIN_SPI1, Spi2::NO_POR, &self.keys, MO_TAR, self.mo);
        command::seal(&header, &self.keys, data)
    }

    /// Counter of the last message of the card's own.
    pub(super) const fn mo_counter(&self) -> Cntr {
        self.mo
    }

    /// Command packets received, taken or not.
    pub(super) const fn received(&self) -> u64 {
        self.received
    }

    /// Counters that came with two different contents, both authentic.
    pub(super) const fn conflicts(&self) -> &BTreeSet<Cntr> {
        &self.conflicts
    }

    /// Checks and keeps a counter as its mode asks (TS 102 225 §5.1.1), or says why not.
    fn take_counter(&mut self, mode: CounterMode, tar: Tar, cntr: Cntr) -> Result<(), Rsc> {
        let scope = (self.scope == CounterScope::Tar).then_some(tar);
        let last = self.mt.entry(scope).or_default();
        match mode {
            CounterMode::Ignored => return Ok(()),
            CounterMode::Unchecked => {}
            CounterMode::Higher | CounterMode::OneHigher if *last == Cntr::MAX => {
                return Err(Rsc::CNTR_BLOCKED);
            }
            CounterMode::Higher | CounterMode::OneHigher if cntr <= *last => return Err(Rsc::CNTR_LOW),
            CounterMode::OneHigher if Some(cntr) != last.next() => return Err(Rsc::CNTR_HIGH),
            CounterMode::Higher | CounterMode::OneHigher => {}
        }
        *last = cntr;
        Ok(())
    }

    fn remember(&mut self, cntr: Cntr, packet: &[u8]) {
        let digest: [u8; 32] = Sha256::digest(packet).into();
        if *self.seen.entry(cntr).or_insert(digest) != digest {
            self.conflicts.insert(cntr);
        }
    }

    fn refusal(&self, header: ResponseHeader, asked: Spi2) -> Verdict {
        if !matches!(asked.por(), PorRequest::Always | PorRequest::OnError) {
            return Verdict::Drop;
        }
        self.seal(&header, asked, &[]).map_or(Verdict::Drop, Verdict::Refuse)
    }

    fn seal(&self, header: &ResponseHeader, asked: Spi2, data: &[u8]) -> Option<Por> {
        let packet = response::seal(header, asked, &self.keys, data).ok()?;
        Some(Por { packet, by_submit: asked.por_by_submit() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ota::{Algorithm, Key};

    fn applet() -> Secured {
        Secured::new(keys(1), BTreeMap::from([(MT_TAR, MIN_SPI1)]), CounterScope::Tar)
    }

    fn keys(first: u8) -> KeySet {
        let key = |octet| Key::new(Algorithm::Aes, &[octet; 16]).unwrap();
        KeySet::new(1, key(first), key(first + 1), 8).unwrap()
    }

    fn packet(keys: &KeySet, spi1: Spi1, spi2: Spi2, tar: Tar, cntr: u64, data: &[u8]) -> Vec<u8> {
        let header = CommandHeader::new(spi1, spi2, keys, tar, cntr.try_into().unwrap());
        command::seal(&header, keys, data).unwrap()
    }

    fn good(cntr: u64, data: &[u8]) -> Vec<u8> {
        packet(&keys(1), Spi1::CC_CIPHERED_HIGHER, Spi2::POR_CC_CIPHERED_BY_SUBMIT, MT_TAR, cntr, data)
    }

    /// The status of a refusal, and whether it was protected as asked.
    fn refused(verdict: Verdict) -> (Rsc, bool) {
        let Verdict::Refuse(por) = verdict else { panic!("{verdict:?}") };
        assert!(por.by_submit);
        match response::open(&por.packet, Spi2::POR_CC_CIPHERED_BY_SUBMIT, &keys(1)) {
            Ok(opened) => (opened.rsc, true),
            Err(_) => {
                (response::open(&por.packet, Spi2(0x21), &keys(1)).expect("else it is in clear").rsc, false)
            }
        }
    }

    #[test]
    fn a_new_authentic_command_is_executed_once() {
        let mut card = applet();
        let first = good(5, b"do");
        let Verdict::Execute(opened) = card.receive(&first) else { panic!("authentic and new") };
        assert_eq!(opened.data, b"do");
        assert_eq!(refused(card.receive(&first)), (Rsc::CNTR_LOW, true));
        assert_eq!(refused(card.receive(&good(4, b"do"))), (Rsc::CNTR_LOW, true));
        assert!(matches!(card.receive(&good(6, b"do")), Verdict::Execute(_)));
        assert!(card.conflicts().is_empty());
        assert_eq!(card.received(), 4);
    }

    #[test]
    fn one_counter_with_two_contents_is_noticed() {
        let mut card = applet();
        card.receive(&good(5, b"one"));
        card.receive(&good(5, b"two"));
        assert_eq!(card.conflicts().iter().map(|cntr| cntr.get()).collect::<Vec<_>>(), [5]);
    }

    #[test]
    fn refusals_before_authentication_stay_in_clear() {
        let mut card = applet();
        let por = Spi2::POR_CC_CIPHERED_BY_SUBMIT;
        let high = Spi1::CC_CIPHERED_HIGHER;
        assert_eq!(
            refused(card.receive(&packet(&keys(1), high, por, MO_TAR, 1, b"x"))),
            (Rsc::TAR_UNKNOWN, false)
        );
        assert_eq!(
            refused(card.receive(&packet(&keys(1), Spi1::CC_HIGHER, por, MT_TAR, 1, b"x"))),
            (Rsc::LEVEL_TOO_LOW, false)
        );
        assert_eq!(
            refused(card.receive(&packet(&keys(3), high, por, MT_TAR, 1, b"x"))),
            (Rsc::CHECK_FAILED, false)
        );
        let mut other_set = good(1, b"x");
        other_set[5] = 0x22;
        assert_eq!(refused(card.receive(&other_set)), (Rsc::SECURITY_ERROR, false));
        let mut not_whole = good(1, b"x");
        not_whole.pop();
        not_whole[1] -= 1;
        assert_eq!(refused(card.receive(&not_whole)), (Rsc::CIPHERING_ERROR, false));
        assert!(
            matches!(card.receive(&good(1, b"x")), Verdict::Execute(_)),
            "none of these moved the counter"
        );
    }

    #[test]
    fn nobody_is_told_who_did_not_ask() {
        let mut card = applet();
        let quiet = packet(&keys(3), Spi1::CC_CIPHERED_HIGHER, Spi2::NO_POR, MT_TAR, 1, b"x");
        assert_eq!(card.receive(&quiet), Verdict::Drop);
        assert_eq!(card.receive(&[0, 1]), Verdict::Drop);
    }

    #[test]
    fn exactly_one_higher_and_the_end_of_the_counter() {
        let exact = Spi1(0x1E);
        let por = Spi2::POR_CC_CIPHERED_BY_SUBMIT;
        let mut card = applet();
        assert_eq!(
            refused(card.receive(&packet(&keys(1), exact, por, MT_TAR, 2, b"x"))),
            (Rsc::CNTR_HIGH, true)
        );
        assert!(matches!(card.receive(&packet(&keys(1), exact, por, MT_TAR, 1, b"x")), Verdict::Execute(_)));
        assert!(matches!(card.receive(&good(Cntr::MAX.get(), b"x")), Verdict::Execute(_)));
        assert_eq!(refused(card.receive(&good(Cntr::MAX.get(), b"x"))), (Rsc::CNTR_BLOCKED, true));
    }

    #[test]
    fn own_messages_have_their_own_rising_counter() {
        let mut card = applet();
        card.receive(&good(1000, b"x"));
        for expected in 1..4 {
            let opened = command::open(&card.seal_own(b"own").unwrap(), &keys(1)).unwrap();
            assert_eq!((opened.header.cntr.get(), opened.header.tar), (expected, MO_TAR));
        }
        assert_eq!(card.mo_counter().get(), 3);
    }

    #[test]
    fn each_application_counts_for_itself_unless_the_card_counts_for_all() {
        let other = Tar([0xB0, 0x00, 0x10]);
        let applications = BTreeMap::from([(MT_TAR, MIN_SPI1), (other, Spi1(0x06))]);
        let por = Spi2::POR_CC_CIPHERED_BY_SUBMIT;
        let to = |tar, spi1, cntr| packet(&keys(1), spi1, por, tar, cntr, b"x");
        let (high, free) = (Spi1::CC_CIPHERED_HIGHER, Spi1(0x06));
        let mut card = Secured::new(keys(1), applications.clone(), CounterScope::Tar);
        assert!(matches!(card.receive(&to(MT_TAR, high, 9)), Verdict::Execute(_)));
        assert!(matches!(card.receive(&to(other, high, 5)), Verdict::Execute(_)));
        assert_eq!(refused(card.receive(&to(MT_TAR, high, 8))), (Rsc::CNTR_LOW, true));
        // Ignored: nothing is checked or kept. Not checked: it lets the sender turn the counter back.
        assert!(matches!(card.receive(&to(other, free, 3)), Verdict::Execute(_)));
        assert_eq!(refused(card.receive(&to(other, high, 5))), (Rsc::CNTR_LOW, true));
        assert!(matches!(card.receive(&to(other, Spi1(0x0E), 3)), Verdict::Execute(_)));
        assert!(matches!(card.receive(&to(other, high, 4)), Verdict::Execute(_)));
        assert_eq!(refused(card.receive(&to(MT_TAR, free, 20))), (Rsc::LEVEL_TOO_LOW, false));

        let mut card = Secured::new(keys(1), applications, CounterScope::Card);
        assert!(matches!(card.receive(&to(MT_TAR, high, 9)), Verdict::Execute(_)));
        assert_eq!(refused(card.receive(&to(other, high, 5))), (Rsc::CNTR_LOW, true));
    }
}
