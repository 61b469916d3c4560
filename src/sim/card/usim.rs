//! The USIM's side of authentication (TS 33.102 §6.3, TS 31.102 §7.1): keys from the pool, one sequence number a
//! subscription.

use std::collections::BTreeMap;

use crate::identity::Imsi;
use crate::sim::card::apdu::{Answer, Status};
use crate::sim::hlr::OperatorSecret;
use crate::sim::milenage::{reveal_sqn, sqn_octets};

/// AMF* of an AUTS (TS 33.102 §6.3.3).
const AMF_RESYNCHRONISATION: [u8; 2] = [0, 0];

/// The pool of subscriptions on the card and how far each has been authenticated.
#[derive(Debug, Clone)]
pub(super) struct Usim {
    pool: OperatorSecret,
    highest_sqn: BTreeMap<Imsi, u64>,
}

/// How AUTHENTICATE ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Authentication {
    /// The network is genuine: RES, CK and IK are in the answer.
    Done(Answer),
    /// The network's sequence number is old: AUTS is in the answer.
    Synchronise(Answer),
}

impl Usim {
    pub(super) const fn new(pool: OperatorSecret) -> Self {
        Self { pool, highest_sqn: BTreeMap::new() }
    }

    /// AUTHENTICATE in 3G context: `data` is 10 ‖ RAND (16) ‖ 10 ‖ AUTN (16); `imsi` is what EF.IMSI holds.
    pub(super) fn authenticate(&mut self, imsi: &Imsi, data: &[u8]) -> Result<Authentication, Status> {
        let (rand, autn) = challenge(data).ok_or(Status::WRONG_DATA)?;
        let credentials = self.pool.credentials(imsi);
        let (hidden, rest) = autn.split_first_chunk::<6>().ok_or(Status::WRONG_DATA)?;
        let (amf, mac) = rest.split_first_chunk::<2>().ok_or(Status::WRONG_DATA)?;
        // AK does not depend on SQN.
        let ak = credentials.evaluate(rand, 0, *amf).ak;
        let sqn = reveal_sqn(*hidden, ak);
        let own = credentials.evaluate(rand, sqn, *amf);
        if mac != own.mac_a {
            return Err(Status::WRONG_MAC);
        }
        let highest = self.highest_sqn.entry(*imsi).or_default();
        if sqn <= *highest {
            let stale = credentials.evaluate(rand, *highest, AMF_RESYNCHRONISATION);
            let mut answer = vec![0xDC, 14];
            answer.extend(sqn_octets(*highest).iter().zip(stale.ak_s).map(|(sqn, ak)| sqn ^ ak));
            answer.extend(stale.mac_s);
            return Ok(Authentication::Synchronise(Answer::data(answer)));
        }
        *highest = sqn;
        let mut answer = vec![0xDB, 8];
        answer.extend(own.res);
        answer.push(16);
        answer.extend(own.ck);
        answer.push(16);
        answer.extend(own.ik);
        Ok(Authentication::Done(Answer::data(answer)))
    }
}

/// RAND and AUTN.
fn challenge(data: &[u8]) -> Option<([u8; 16], [u8; 16])> {
    let rest = data.strip_prefix(&[16])?;
    let (rand, rest) = rest.split_first_chunk::<16>()?;
    let autn = rest.strip_prefix(&[16])?.try_into().ok()?;
    Some((*rand, autn))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sim::hlr::Hlr;

    fn data(rand: [u8; 16], autn: [u8; 16]) -> Vec<u8> {
        [&[16], rand.as_slice(), &[16], autn.as_slice()].concat()
    }

    #[test]
    fn card_and_register_let_each_other_in_and_resynchronise() {
        let imsi: Imsi = "460041234567890".parse().unwrap();
        let secret = OperatorSecret::new([1; 16]);
        let mut usim = Usim::new(secret.clone());
        let mut hlr = Hlr::new(secret.clone());
        hlr.provision(imsi, "861064812345678".parse().unwrap());
        let first = hlr.challenge(&imsi, [3; 16]).unwrap();
        let Ok(Authentication::Done(answer)) = usim.authenticate(&imsi, &data(first.rand, first.autn)) else {
            panic!("the first challenge is genuine");
        };
        assert_eq!((answer.data.len(), &answer.data[2..10]), (44, first.xres.as_slice()));

        // A register that starts again is behind the card: its challenge is answered with AUTS, once.
        let mut restored = Hlr::new(secret);
        restored.provision(imsi, "861064812345678".parse().unwrap());
        let stale = restored.challenge(&imsi, [4; 16]).unwrap();
        let Ok(Authentication::Synchronise(answer)) = usim.authenticate(&imsi, &data(stale.rand, stale.autn))
        else {
            panic!("the sequence number is not new");
        };
        let auts: [u8; 14] = answer.data[2..].try_into().unwrap();
        assert!(restored.resynchronise(&imsi, stale.rand, auts));
        let next = restored.challenge(&imsi, [5; 16]).unwrap();
        assert!(matches!(
            usim.authenticate(&imsi, &data(next.rand, next.autn)),
            Ok(Authentication::Done(answer)) if answer.data[2..10] == next.xres
        ));
    }

    #[test]
    fn a_network_with_another_key_is_refused() {
        let imsi: Imsi = "460041234567890".parse().unwrap();
        let mut usim = Usim::new(OperatorSecret::new([1; 16]));
        let mut hlr = Hlr::new(OperatorSecret::new([2; 16]));
        hlr.provision(imsi, "861064812345678".parse().unwrap());
        let vector = hlr.challenge(&imsi, [3; 16]).unwrap();
        assert_eq!(usim.authenticate(&imsi, &data(vector.rand, vector.autn)), Err(Status::WRONG_MAC));
        assert_eq!(usim.authenticate(&imsi, &[16, 1]), Err(Status::WRONG_DATA));
    }
}
