//! Block ciphers under the keys of a card: CBC with a zero initial value, ECB for old DES cards, and the two MACs of
//! TS 102 225 §5.1.2, §5.1.3.

use aes::cipher::array::{Array, ArraySize};
use aes::cipher::consts::U8;
use aes::cipher::{
    BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, InnerIvInit, KeyInit,
};
use aes::{Aes128, Aes192, Aes256};
use cmac::{Cmac, Mac};
use des::{Des, TdesEde2, TdesEde3};

use super::key::{Key, Material};

/// How blocks follow each other when data is ciphered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    Cbc,
    Ecb,
}

/// Enciphers `blocks` in place. Octets beyond the last whole block stay as they are: the caller pads.
pub(super) fn encrypt(key: &Key, mode: Mode, blocks: &mut [u8]) {
    match &key.0 {
        Material::Aes128(key) => encrypt_under(Aes128::new(key.into()), mode, blocks),
        Material::Aes192(key) => encrypt_under(Aes192::new(key.into()), mode, blocks),
        Material::Aes256(key) => encrypt_under(Aes256::new(key.into()), mode, blocks),
        Material::TripleDes2(key) => encrypt_under(TdesEde2::new(key.into()), mode, blocks),
        Material::TripleDes3(key) => encrypt_under(TdesEde3::new(key.into()), mode, blocks),
        Material::Des(key) => encrypt_under(Des::new(key.into()), mode, blocks),
    }
}

/// Deciphers `blocks` in place; the caller has checked that they are whole.
pub(super) fn decrypt(key: &Key, mode: Mode, blocks: &mut [u8]) {
    match &key.0 {
        Material::Aes128(key) => decrypt_under(Aes128::new(key.into()), mode, blocks),
        Material::Aes192(key) => decrypt_under(Aes192::new(key.into()), mode, blocks),
        Material::Aes256(key) => decrypt_under(Aes256::new(key.into()), mode, blocks),
        Material::TripleDes2(key) => decrypt_under(TdesEde2::new(key.into()), mode, blocks),
        Material::TripleDes3(key) => decrypt_under(TdesEde3::new(key.into()), mode, blocks),
        Material::Des(key) => decrypt_under(Des::new(key.into()), mode, blocks),
    }
}

/// The first eight octets of the MAC over `head` then `body`: CMAC with AES, the last block of the CBC chain with the DES
/// family.
pub(super) fn mac(key: &Key, head: &[u8; 16], body: &[u8]) -> [u8; 8] {
    match &key.0 {
        Material::Aes128(key) => cmac(Cmac::<Aes128>::new(key.into()), head, body),
        Material::Aes192(key) => cmac(Cmac::<Aes192>::new(key.into()), head, body),
        Material::Aes256(key) => cmac(Cmac::<Aes256>::new(key.into()), head, body),
        Material::TripleDes2(key) => cbc_mac(&TdesEde2::new(key.into()), head, body),
        Material::TripleDes3(key) => cbc_mac(&TdesEde3::new(key.into()), head, body),
        Material::Des(key) => cbc_mac(&Des::new(key.into()), head, body),
    }
}

fn encrypt_under<C: BlockCipherEncrypt>(cipher: C, mode: Mode, octets: &mut [u8]) {
    let (blocks, _) = Array::slice_as_chunks_mut(octets);
    match mode {
        Mode::Cbc => cbc::Encryptor::inner_iv_init(cipher, &Array::default()).encrypt_blocks(blocks),
        Mode::Ecb => cipher.encrypt_blocks(blocks),
    }
}

fn decrypt_under<C: BlockCipherDecrypt>(cipher: C, mode: Mode, octets: &mut [u8]) {
    let (blocks, _) = Array::slice_as_chunks_mut(octets);
    match mode {
        Mode::Cbc => cbc::Decryptor::inner_iv_init(cipher, &Array::default()).decrypt_blocks(blocks),
        Mode::Ecb => cipher.decrypt_blocks(blocks),
    }
}

fn cmac<M: Mac>(mut mac: M, head: &[u8; 16], body: &[u8]) -> [u8; 8] {
    mac.update(head);
    mac.update(body);
    first_eight(&mac.finalize().into_bytes())
}

/// Zero padding to whole blocks is part of the computation and never sent.
fn cbc_mac<C: BlockCipherEncrypt<BlockSize = U8>>(cipher: &C, head: &[u8; 16], body: &[u8]) -> [u8; 8] {
    let mut chain = Array::default();
    for block in head.chunks(8).chain(body.chunks(8)) {
        chain.iter_mut().zip(block).for_each(|(chained, octet)| *chained ^= octet);
        cipher.encrypt_block(&mut chain);
    }
    chain.into()
}

fn first_eight<N: ArraySize>(mac: &Array<u8, N>) -> [u8; 8] {
    let mut first = [0; 8];
    first.iter_mut().zip(mac).for_each(|(to, from)| *to = *from);
    first
}
