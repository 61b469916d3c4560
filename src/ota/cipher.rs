//! Block ciphers under the keys of a card: CBC with a zero initial value, and the two MACs of TS 102 225 §5.1.2, §5.1.3.

use aes::cipher::array::{Array, ArraySize};
use aes::cipher::{
    BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, InnerIvInit, KeyInit,
};
use aes::{Aes128, Aes192, Aes256};
use cmac::{Cmac, Mac};
use des::TdesEde2;

use super::key::{Key, Material};

/// Enciphers `blocks` in place. Octets beyond the last whole block stay as they are: the caller pads.
pub(super) fn encrypt(key: &Key, blocks: &mut [u8]) {
    match &key.0 {
        Material::Aes128(key) => cbc_encrypt(Aes128::new(key.into()), blocks),
        Material::Aes192(key) => cbc_encrypt(Aes192::new(key.into()), blocks),
        Material::Aes256(key) => cbc_encrypt(Aes256::new(key.into()), blocks),
        Material::TripleDes2(key) => cbc_encrypt(TdesEde2::new(key.into()), blocks),
    }
}

/// Deciphers `blocks` in place; the caller has checked that they are whole.
pub(super) fn decrypt(key: &Key, blocks: &mut [u8]) {
    match &key.0 {
        Material::Aes128(key) => cbc_decrypt(Aes128::new(key.into()), blocks),
        Material::Aes192(key) => cbc_decrypt(Aes192::new(key.into()), blocks),
        Material::Aes256(key) => cbc_decrypt(Aes256::new(key.into()), blocks),
        Material::TripleDes2(key) => cbc_decrypt(TdesEde2::new(key.into()), blocks),
    }
}

/// The first eight octets of the MAC over `head` then `body`: CMAC with AES, the last block of the CBC chain with triple DES.
pub(super) fn mac(key: &Key, head: &[u8; 16], body: &[u8]) -> [u8; 8] {
    match &key.0 {
        Material::Aes128(key) => cmac(Cmac::<Aes128>::new(key.into()), head, body),
        Material::Aes192(key) => cmac(Cmac::<Aes192>::new(key.into()), head, body),
        Material::Aes256(key) => cmac(Cmac::<Aes256>::new(key.into()), head, body),
        Material::TripleDes2(key) => cbc_mac(&TdesEde2::new(key.into()), head, body),
    }
}

fn cbc_encrypt<C: BlockCipherEncrypt>(cipher: C, octets: &mut [u8]) {
    let (blocks, _) = Array::slice_as_chunks_mut(octets);
    cbc::Encryptor::inner_iv_init(cipher, &Array::default()).encrypt_blocks(blocks);
}

fn cbc_decrypt<C: BlockCipherDecrypt>(cipher: C, octets: &mut [u8]) {
    let (blocks, _) = Array::slice_as_chunks_mut(octets);
    cbc::Decryptor::inner_iv_init(cipher, &Array::default()).decrypt_blocks(blocks);
}

fn cmac<M: Mac>(mut mac: M, head: &[u8; 16], body: &[u8]) -> [u8; 8] {
    mac.update(head);
    mac.update(body);
    first_eight(&mac.finalize().into_bytes())
}

/// Zero padding to whole blocks is part of the computation and never sent.
fn cbc_mac(cipher: &TdesEde2, head: &[u8; 16], body: &[u8]) -> [u8; 8] {
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
