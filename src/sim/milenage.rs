//! Milenage (TS 35.206): the authentication functions f1 to f5* of a USIM and its home network.

use aes::Aes128;
use aes::cipher::{BlockCipherEncrypt, KeyInit};
use zeroize::{Zeroize, ZeroizeOnDrop};

/// What a subscription shares with its home network: the subscriber key K and OPc, 16 octets each.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct Credentials {
    k: [u8; 16],
    opc: [u8; 16],
}

impl Credentials {
    /// Credentials with an OPc that is already derived from OP.
    #[must_use]
    pub const fn new(k: [u8; 16], opc: [u8; 16]) -> Self {
        Self { k, opc }
    }

    /// Credentials with OPc = OP xor E_K(OP) (TS 35.206 §4.1).
    #[must_use]
    pub fn from_op(k: [u8; 16], op: [u8; 16]) -> Self {
        let opc = xor(op, encrypt(&k, op));
        Self { k, opc }
    }

    /// All functions for one challenge: `sqn` is 48 bits, `amf` 16.
    #[must_use]
    pub fn evaluate(&self, rand: [u8; 16], sqn: u64, amf: [u8; 2]) -> Milenage {
        let temp = encrypt(&self.k, xor(rand, self.opc));
        let out1 = self.out1(temp, sqn, amf);
        let out2 = self.out(temp, 0, 1);
        let out5 = self.out(temp, 12, 8);
        Milenage {
            mac_a: part(&out1, 0),
            mac_s: part(&out1, 8),
            res: part(&out2, 8),
            ck: self.out(temp, 4, 2),
            ik: self.out(temp, 8, 4),
            ak: part(&out2, 0),
            ak_s: part(&out5, 0),
        }
    }

    /// OUT1 (§4.1): the only function that sees SQN and AMF.
    fn out1(&self, temp: [u8; 16], sqn: u64, amf: [u8; 2]) -> [u8; 16] {
        let sqn = sqn_octets(sqn);
        let mut half = [0; 8];
        half[..6].copy_from_slice(&sqn);
        half[6..].copy_from_slice(&amf);
        let mut in1 = [0; 16];
        in1[..8].copy_from_slice(&half);
        in1[8..].copy_from_slice(&half);
        let mut block = xor(in1, self.opc);
        block.rotate_left(8);
        xor(encrypt(&self.k, xor(temp, block)), self.opc)
    }

    /// OUT2 to OUT5 (§4.1): rotation in octets, and the last octet of the constant.
    fn out(&self, temp: [u8; 16], rotation: usize, constant: u8) -> [u8; 16] {
        let mut block = xor(temp, self.opc);
        block.rotate_left(rotation);
        block[15] ^= constant;
        xor(encrypt(&self.k, block), self.opc)
    }
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Credentials(hidden)")
    }
}

/// The values that belong to one challenge.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Milenage {
    /// f1: the network's MAC in AUTN.
    pub mac_a: [u8; 8],
    /// f1*: the USIM's MAC in AUTS.
    pub mac_s: [u8; 8],
    /// f2: the response.
    pub res: [u8; 8],
    /// f3: the cipher key.
    pub ck: [u8; 16],
    /// f4: the integrity key.
    pub ik: [u8; 16],
    /// f5: hides SQN in AUTN.
    pub ak: [u8; 6],
    /// f5*: hides SQN in AUTS.
    pub ak_s: [u8; 6],
}

/// The six octets of a sequence number, most significant first.
#[must_use]
pub fn sqn_octets(sqn: u64) -> [u8; 6] {
    part(&sqn.to_be_bytes(), 2)
}

/// A sequence number from its six octets, xored with an anonymity key: the way in and the way out of AUTN and AUTS.
#[must_use]
pub fn reveal_sqn(hidden: [u8; 6], ak: [u8; 6]) -> u64 {
    hidden.iter().zip(ak).fold(0, |sqn, (octet, key)| sqn << 8 | u64::from(octet ^ key))
}

/// `N` octets of `from`, from `start` on.
fn part<const N: usize>(from: &[u8], start: usize) -> [u8; N] {
    std::array::from_fn(|i| from.get(start + i).copied().unwrap_or_default())
}

fn xor(a: [u8; 16], b: [u8; 16]) -> [u8; 16] {
    std::array::from_fn(|i| a[i] ^ b[i])
}

fn encrypt(key: &[u8; 16], block: [u8; 16]) -> [u8; 16] {
    let mut block = block.into();
    Aes128::new(&(*key).into()).encrypt_block(&mut block);
    block.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn octets<const N: usize>(text: &str) -> [u8; N] {
        hex::decode(text).unwrap().try_into().unwrap()
    }

    struct Set {
        k: &'static str,
        rand: &'static str,
        sqn: u64,
        amf: &'static str,
        op: &'static str,
        opc: &'static str,
        f1: &'static str,
        f1_s: &'static str,
        f2: &'static str,
        f3: &'static str,
        f4: &'static str,
        f5: &'static str,
        f5_s: &'static str,
    }

    fn check(set: &Set) {
        let credentials = Credentials::from_op(octets(set.k), octets(set.op));
        assert_eq!(credentials.opc, octets(set.opc));
        let out = credentials.evaluate(octets(set.rand), set.sqn, octets(set.amf));
        assert_eq!(out.mac_a, octets(set.f1));
        assert_eq!(out.mac_s, octets(set.f1_s));
        assert_eq!(out.res, octets(set.f2));
        assert_eq!(out.ck, octets(set.f3));
        assert_eq!(out.ik, octets(set.f4));
        assert_eq!(out.ak, octets(set.f5));
        assert_eq!(out.ak_s, octets(set.f5_s));
    }

    #[test]
    fn test_set_1_of_ts_35_208() {
        check(&Set {
            k: "465b5ce8b199b49faa5f0a2ee238a6bc",
            rand: "23553cbe9637a89d218ae64dae47bf35",
            sqn: 0xff9b_b4d0_b607,
            amf: "b9b9",
            op: "cdc202d5123e20f62b6d676ac72cb318",
            opc: "cd63cb71954a9f4e48a5994e37a02baf",
            f1: "4a9ffac354dfafb3",
            f1_s: "01cfaf9ec4e871e9",
            f2: "a54211d5e3ba50bf",
            f3: "b40ba9a3c58b2a05bbf0d987b21bf8cb",
            f4: "f769bcd751044604127672711c6d3441",
            f5: "aa689c648370",
            f5_s: "451e8beca43b",
        });
    }

    #[test]
    fn test_set_3_of_ts_35_208() {
        check(&Set {
            k: "fec86ba6eb707ed08905757b1bb44b8f",
            rand: "9f7c8d021accf4db213ccff0c7f71a6a",
            sqn: 0x9d02_7759_5ffc,
            amf: "725c",
            op: "dbc59adcb6f9a0ef735477b7fadf8374",
            opc: "1006020f0a478bf6b699f15c062e42b3",
            f1: "9cabc3e99baf7281",
            f1_s: "95814ba2b3044324",
            f2: "8011c48c0c214ed2",
            f3: "5dbdbb2954e8f3cde665b046179a5098",
            f4: "59a92d3b476a0443487055cf88b2307b",
            f5: "33484dc2136b",
            f5_s: "deacdd848cc6",
        });
    }

    #[test]
    fn credentials_do_not_show_themselves() {
        let shown = format!("{:?}", Credentials::new([0xAB; 16], [0xCD; 16]));
        assert!(!shown.to_lowercase().contains("ab") && !shown.contains("171"), "{shown}");
    }
}
