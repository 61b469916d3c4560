//! The home register: subscribers with their keys, authentication vectors, and who is attached where.

use std::collections::BTreeMap;

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use zeroize::{Zeroize, ZeroizeOnDrop};

use crate::identity::{Imsi, Msisdn};
use crate::sim::milenage::{Credentials, reveal_sqn, sqn_octets};

/// The AMF of every vector: separation bit clear, a 3G context (TS 33.102 annex H).
const AMF: [u8; 2] = [0, 0];
/// The AMF of an AUTS is all zero (TS 33.102 §6.3.3).
const AMF_RESYNCHRONISATION: [u8; 2] = [0, 0];
const SQN_MAX: u64 = (1 << 48) - 1;

/// The place of a terminal in the operator's list.
pub type TerminalId = usize;

/// 16 octets that every K and OPc of this operator follow from, so that the pool on a card and the register
/// agree without an exchange of files:
/// K = E(01 ‖ digits), OPc = E(02 ‖ digits), where E is AES-128 under this secret and `digits` are the IMSI's
/// ASCII digits, filled with zero octets to 15.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct OperatorSecret([u8; 16]);

impl OperatorSecret {
    /// The secret that these octets are.
    #[must_use]
    pub const fn new(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// K and OPc of a subscription.
    #[must_use]
    pub fn credentials(&self, imsi: &Imsi) -> Credentials {
        Credentials::new(self.derive(1, imsi), self.derive(2, imsi))
    }

    fn derive(&self, purpose: u8, imsi: &Imsi) -> [u8; 16] {
        let mut block = [0; 16];
        block[0] = purpose;
        for (octet, digit) in block[1..].iter_mut().zip(imsi.to_string().bytes()) {
            *octet = digit;
        }
        let mut block = block.into();
        Aes128::new(&self.0.into()).encrypt_block(&mut block);
        block.into()
    }
}

impl Default for OperatorSecret {
    /// The secret of the simulated operator where nobody chose one. It protects nothing.
    fn default() -> Self {
        Self(*b"simulated secret")
    }
}

impl std::fmt::Debug for OperatorSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OperatorSecret(hidden)")
    }
}

/// One challenge of the network (TS 33.102 §6.3.2).
#[derive(Clone, Copy)]
pub struct Vector {
    /// The challenge.
    pub rand: [u8; 16],
    /// SQN xor AK (6), AMF (2), MAC-A (8).
    pub autn: [u8; 16],
    /// The response that lets the subscriber in.
    pub xres: [u8; 8],
}

#[derive(Debug)]
struct Subscriber {
    credentials: Credentials,
    msisdn: Msisdn,
    sqn: u64,
}

/// The home register.
#[derive(Debug)]
pub struct Hlr {
    secret: OperatorSecret,
    subscribers: BTreeMap<Imsi, Subscriber>,
    imsis: BTreeMap<Msisdn, Imsi>,
    attached: BTreeMap<Imsi, TerminalId>,
    present: BTreeMap<TerminalId, Imsi>,
}

impl Hlr {
    /// A register without subscribers.
    #[must_use]
    pub const fn new(secret: OperatorSecret) -> Self {
        Self {
            secret,
            subscribers: BTreeMap::new(),
            imsis: BTreeMap::new(),
            attached: BTreeMap::new(),
            present: BTreeMap::new(),
        }
    }

    /// Adds a subscriber with the keys that follow from the operator's secret, or gives an existing one another
    /// number. A number that another subscriber had is taken from it.
    pub fn provision(&mut self, imsi: Imsi, msisdn: Msisdn) {
        let credentials = self.secret.credentials(&imsi);
        self.provision_with(imsi, msisdn, credentials);
    }

    /// Like [`Hlr::provision`], with these keys: others than the card's make its attach fail.
    pub fn provision_with(&mut self, imsi: Imsi, msisdn: Msisdn, credentials: Credentials) {
        let sqn = self.subscribers.get(&imsi).map_or(0, |subscriber| subscriber.sqn);
        if let Some(former) = self.subscribers.insert(imsi, Subscriber { credentials, msisdn, sqn }) {
            self.imsis.remove(&former.msisdn);
        }
        self.imsis.insert(msisdn, imsi);
    }

    /// The next challenge for a subscriber, `None` where the IMSI is unknown.
    pub fn challenge(&mut self, imsi: &Imsi, rand: [u8; 16]) -> Option<Vector> {
        let subscriber = self.subscribers.get_mut(imsi)?;
        subscriber.sqn = subscriber.sqn.saturating_add(1).min(SQN_MAX);
        let expected = subscriber.credentials.evaluate(rand, subscriber.sqn, AMF);
        let mut autn = [0; 16];
        let (hidden, rest) = autn.split_at_mut(6);
        for ((octet, sqn), ak) in hidden.iter_mut().zip(sqn_octets(subscriber.sqn)).zip(expected.ak) {
            *octet = sqn ^ ak;
        }
        let (amf, mac) = rest.split_at_mut(2);
        amf.copy_from_slice(&AMF);
        mac.copy_from_slice(&expected.mac_a);
        Some(Vector { rand, autn, xres: expected.res })
    }

    /// Takes over the USIM's sequence number from its AUTS (14 octets: SQN xor AK*, MAC-S; TS 33.102 §6.3.5).
    /// False where the IMSI is unknown or the MAC is wrong.
    pub fn resynchronise(&mut self, imsi: &Imsi, rand: [u8; 16], auts: [u8; 14]) -> bool {
        let Some(subscriber) = self.subscribers.get_mut(imsi) else { return false };
        let hidden: [u8; 6] = std::array::from_fn(|i| auts[i]);
        let mac: [u8; 8] = std::array::from_fn(|i| auts[6 + i]);
        // AK* does not depend on SQN.
        let ak_s = subscriber.credentials.evaluate(rand, 0, AMF_RESYNCHRONISATION).ak_s;
        let sqn = reveal_sqn(hidden, ak_s);
        let genuine = subscriber.credentials.evaluate(rand, sqn, AMF_RESYNCHRONISATION).mac_s == mac;
        if genuine {
            subscriber.sqn = sqn;
        }
        genuine
    }

    /// Notes where a subscriber is; a terminal has at most one subscriber, and a subscriber one terminal.
    pub fn attach(&mut self, imsi: Imsi, terminal: TerminalId) {
        self.detach(terminal);
        if let Some(former) = self.attached.insert(imsi, terminal) {
            self.present.remove(&former);
        }
        self.present.insert(terminal, imsi);
    }

    /// Forgets whoever is attached at this terminal.
    pub fn detach(&mut self, terminal: TerminalId) {
        if let Some(imsi) = self.present.remove(&terminal) {
            self.attached.remove(&imsi);
        }
    }

    /// Whom this terminal is attached as.
    #[must_use]
    pub fn attached_as(&self, terminal: TerminalId) -> Option<Imsi> {
        self.present.get(&terminal).copied()
    }

    /// The terminal that a number reaches now.
    #[must_use]
    pub fn route(&self, msisdn: &Msisdn) -> Option<TerminalId> {
        self.attached.get(self.imsis.get(msisdn)?).copied()
    }

    /// Whether a subscriber has this number.
    #[must_use]
    pub fn knows(&self, msisdn: &Msisdn) -> bool {
        self.imsis.contains_key(msisdn)
    }

    /// A subscriber's number.
    #[must_use]
    pub fn msisdn(&self, imsi: &Imsi) -> Option<Msisdn> {
        self.subscribers.get(imsi).map(|subscriber| subscriber.msisdn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn imsi() -> Imsi {
        "460041234567890".parse().unwrap()
    }

    fn msisdn() -> Msisdn {
        "861064812345678".parse().unwrap()
    }

    #[test]
    fn keys_follow_from_secret_imsi_and_purpose() {
        let secret = OperatorSecret::new([7; 16]);
        assert_eq!(secret.credentials(&imsi()), secret.credentials(&imsi()));
        assert_ne!(secret.credentials(&imsi()), secret.credentials(&"460041234567891".parse().unwrap()));
        assert_ne!(secret.credentials(&imsi()), OperatorSecret::new([8; 16]).credentials(&imsi()));
        assert_ne!(secret.derive(1, &imsi()), secret.derive(2, &imsi()));
    }

    #[test]
    fn a_vector_verifies_with_the_same_keys_and_its_sqn_rises() {
        let mut hlr = Hlr::new(OperatorSecret::default());
        hlr.provision(imsi(), msisdn());
        let keys = OperatorSecret::default().credentials(&imsi());
        for expected_sqn in 1..4 {
            let vector = hlr.challenge(&imsi(), [9; 16]).unwrap();
            let ak = keys.evaluate(vector.rand, 0, AMF).ak;
            let sqn = reveal_sqn(std::array::from_fn(|i| vector.autn[i]), ak);
            assert_eq!(sqn, expected_sqn);
            let own = keys.evaluate(vector.rand, sqn, AMF);
            assert_eq!((&vector.autn[8..], vector.xres), (own.mac_a.as_slice(), own.res));
        }
        assert!(hlr.challenge(&"460049999999999".parse().unwrap(), [9; 16]).is_none());
    }

    #[test]
    fn only_a_genuine_auts_moves_the_sequence_number() {
        let mut hlr = Hlr::new(OperatorSecret::default());
        hlr.provision(imsi(), msisdn());
        let keys = OperatorSecret::default().credentials(&imsi());
        let own = keys.evaluate([5; 16], 1000, AMF_RESYNCHRONISATION);
        let mut auts = [0; 14];
        for (i, octet) in sqn_octets(1000).into_iter().enumerate() {
            auts[i] = octet ^ own.ak_s[i];
        }
        auts[6..].copy_from_slice(&own.mac_s);
        let mut forged = auts;
        forged[13] ^= 1;
        assert!(!hlr.resynchronise(&imsi(), [5; 16], forged));
        assert_eq!(hlr.subscribers[&imsi()].sqn, 0);
        assert!(hlr.resynchronise(&imsi(), [5; 16], auts));
        assert_eq!(hlr.subscribers[&imsi()].sqn, 1000);
    }

    #[test]
    fn a_number_leads_to_the_terminal_of_its_subscriber() {
        let mut hlr = Hlr::new(OperatorSecret::default());
        hlr.provision(imsi(), msisdn());
        assert_eq!((hlr.knows(&msisdn()), hlr.route(&msisdn())), (true, None));
        hlr.attach(imsi(), 3);
        assert_eq!((hlr.route(&msisdn()), hlr.attached_as(3)), (Some(3), Some(imsi())));
        let other: Imsi = "460041234567891".parse().unwrap();
        hlr.provision(other, "861064812345679".parse().unwrap());
        hlr.attach(other, 3);
        assert_eq!((hlr.route(&msisdn()), hlr.attached_as(3)), (None, Some(other)));
        hlr.detach(3);
        assert_eq!(hlr.attached_as(3), None);
        hlr.provision(imsi(), "861064899999999".parse().unwrap());
        assert!(!hlr.knows(&msisdn()));
    }
}
