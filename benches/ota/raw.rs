//! The ciphers and MACs alone, key schedules included.

use aes::cipher::array::Array;
use aes::cipher::consts::U8;
use aes::cipher::{
    BlockCipherDecrypt, BlockCipherEncrypt, BlockModeDecrypt, BlockModeEncrypt, InnerIvInit, KeyInit,
};
use aes::{Aes128, Aes192, Aes256};
use cmac::{Cmac, Mac};
use des::{TdesEde2, TdesEde3};

/// One algorithm; each function takes the key and works in place.
pub(crate) struct Raw {
    pub(crate) encipher: fn(&[u8], &mut [u8]),
    pub(crate) decipher: fn(&[u8], &mut [u8]),
    /// Over both pieces.
    pub(crate) mac: fn(&[u8], [&[u8]; 2]) -> u64,
}

pub(crate) const AES_128: Raw =
    Raw { encipher: encipher::<Aes128>, decipher: decipher::<Aes128>, mac: cmac::<Cmac<Aes128>> };
pub(crate) const AES_192: Raw =
    Raw { encipher: encipher::<Aes192>, decipher: decipher::<Aes192>, mac: cmac::<Cmac<Aes192>> };
pub(crate) const AES_256: Raw =
    Raw { encipher: encipher::<Aes256>, decipher: decipher::<Aes256>, mac: cmac::<Cmac<Aes256>> };
pub(crate) const TRIPLE_DES_2: Raw =
    Raw { encipher: encipher::<TdesEde2>, decipher: decipher::<TdesEde2>, mac: cbc_mac::<TdesEde2> };
pub(crate) const TRIPLE_DES_3: Raw =
    Raw { encipher: encipher::<TdesEde3>, decipher: decipher::<TdesEde3>, mac: cbc_mac::<TdesEde3> };

fn encipher<C: KeyInit + BlockCipherEncrypt>(key: &[u8], octets: &mut [u8]) {
    let (blocks, _) = Array::slice_as_chunks_mut(octets);
    let cipher = C::new_from_slice(key).unwrap();
    cbc::Encryptor::inner_iv_init(cipher, &Array::default()).encrypt_blocks(blocks);
}

fn decipher<C: KeyInit + BlockCipherDecrypt>(key: &[u8], octets: &mut [u8]) {
    let (blocks, _) = Array::slice_as_chunks_mut(octets);
    let cipher = C::new_from_slice(key).unwrap();
    cbc::Decryptor::inner_iv_init(cipher, &Array::default()).decrypt_blocks(blocks);
}

fn cmac<M: KeyInit + Mac>(key: &[u8], pieces: [&[u8]; 2]) -> u64 {
    let mut mac = <M as KeyInit>::new_from_slice(key).unwrap();
    pieces.iter().for_each(|piece| mac.update(piece));
    mac.finalize().into_bytes().first_chunk().copied().map(u64::from_be_bytes).unwrap()
}

fn cbc_mac<C: KeyInit + BlockCipherEncrypt<BlockSize = U8>>(key: &[u8], pieces: [&[u8]; 2]) -> u64 {
    let cipher = C::new_from_slice(key).unwrap();
    let mut chain = 0;
    for piece in pieces {
        let (blocks, rest) = piece.as_chunks::<8>();
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        for block in blocks.iter().chain((!rest.is_empty()).then_some(&last)) {
            let mut next = Array((chain ^ u64::from_be_bytes(*block)).to_be_bytes());
            cipher.encrypt_block(&mut next);
            chain = u64::from_be_bytes(next.0);
        }
    }
    chain
}
