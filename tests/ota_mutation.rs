//! What a changed packet comes to: with a check, the change of any one bit is refused at the level that is asked; a packet
//! that ends early or late is a typed error at any level; and a lower level than asked never passes.
//!
//! Packets and keys are always the same ones. Under ciphering the change of one bit becomes that of a block, which a CRC-16
//! finds but for one in 65536; what is asserted here for it is what holds of these packets.

use airwrite::ota::response::{self, ResponseHeader};
use airwrite::ota::{
    Algorithm, Cntr, CommandHeader, Crc, Integrity, Key, KeySet, OpenError, Rsc, Spi1, Spi2, Tar, command,
};

const TAR: Tar = Tar([0xB0, 0x00, 0x11]);
/// Octets of data: none, less than a block, whole blocks, more.
const DATA: [usize; 4] = [0, 3, 16, 45];
/// None, RC and CC, in clear and ciphered: b2b1 and b3 of SPI1, in SPI2 two bits higher.
const LEVELS: [u8; 6] = [0b000, 0b100, 0b001, 0b101, 0b010, 0b110];
/// Of [`key_sets`].
const KEY_SETS: usize = 18;

#[test]
fn a_changed_command_is_refused() {
    let mut packets = 0;
    for_every_packet(|keys, level, data| {
        // The counter has to be higher, so that no bit of SPI1 is weaker than its minimum unseen.
        let spi1 = Spi1(level | 0x10);
        let header = CommandHeader::new(spi1, Spi2::POR_CC_CIPHERED_BY_SUBMIT, keys, TAR, cntr());
        let packet = command::seal(&header, keys, data).unwrap();
        let open = |packet: &[u8]| -> Result<Option<Vec<u8>>, OpenError> {
            let level_holds = command::peek(packet)?.spi1.meets(spi1);
            command::open(packet, keys).map(|opened| level_holds.then_some(opened.data))
        };
        assert_eq!(open(&packet), Ok(Some(data.to_vec())));
        assert_mutants_refused(&packet, spi1.integrity(), |packet| {
            open(packet).map(|opened| opened.is_some())
        });
        packets += 1;
    });
    assert_eq!(packets, KEY_SETS * LEVELS.len() * DATA.len());
}

#[test]
fn a_changed_response_is_refused() {
    let mut packets = 0;
    for_every_packet(|keys, level, data| {
        let asked = Spi2(level << 2);
        let header = ResponseHeader { tar: TAR, cntr: cntr(), rsc: Rsc::OK };
        let packet = response::seal(&header, asked, keys, data).unwrap();
        assert_eq!(response::open(&packet, asked, keys).map(|opened| opened.data), Ok(data.to_vec()));
        assert_mutants_refused(&packet, asked.por_integrity(), |packet| {
            response::open(packet, asked, keys).map(|_| true)
        });
        packets += 1;
    });
    assert_eq!(packets, KEY_SETS * LEVELS.len() * DATA.len());
}

/// Every level is asked of packets of every other one.
#[test]
fn no_other_level_passes_for_the_asked_one() {
    for keys in key_sets() {
        let header = ResponseHeader { tar: TAR, cntr: cntr(), rsc: Rsc::OK };
        for sealed in LEVELS {
            let packet = response::seal(&header, Spi2(sealed << 2), &keys, &[0x90; 21]).unwrap();
            for asked in LEVELS.into_iter().filter(|asked| *asked != sealed && asked & 0b11 != 0) {
                let opened = response::open(&packet, Spi2(asked << 2), &keys);
                assert!(opened.is_err(), "{sealed:03b} for {asked:03b}: {opened:?}");
            }
            // A command says its level: what has to fall is a lower one.
            for minimum in LEVELS.map(Spi1) {
                let lower = (sealed & 0b11) < (minimum.0 & 0b11) || (sealed & 0b100) < (minimum.0 & 0b100);
                assert_eq!(Spi1(sealed).meets(minimum), !lower, "{sealed:03b} for {minimum:?}");
            }
        }
    }
}

/// `open` says whether a packet passed at the level.
fn assert_mutants_refused(
    packet: &[u8],
    integrity: Integrity,
    open: impl Fn(&[u8]) -> Result<bool, OpenError>,
) {
    for len in 0..packet.len() {
        assert_typed(open(&packet[..len]), len);
    }
    for more in 1..=17 {
        let longer = [packet, &vec![0; more]].concat();
        assert_typed(open(&longer), longer.len());
    }
    if integrity == Integrity::None {
        return;
    }
    for bit in 0..packet.len() * 8 {
        let mut changed = packet.to_vec();
        changed[bit / 8] ^= 1 << (bit % 8);
        assert_ne!(open(&changed), Ok(true), "bit {bit} of {}", hex::encode(packet));
    }
    // Cut or lengthened with length fields that fit, it falls by its check.
    for len in (3..packet.len() + 16).filter(|len| *len != packet.len()) {
        let mut changed = packet.to_vec();
        changed.resize(len, 0);
        changed[..2].copy_from_slice(&u16::try_from(len - 2).unwrap().to_be_bytes());
        assert_ne!(open(&changed), Ok(true), "{len} octets of {}", hex::encode(packet));
    }
}

fn assert_typed(opened: Result<bool, OpenError>, len: usize) {
    assert!(
        matches!(opened, Err(OpenError::TooShort { .. } | OpenError::LengthMismatch { .. })),
        "{len} octets: {opened:?}"
    );
}

fn for_every_packet(mut each: impl FnMut(&KeySet, u8, &[u8])) {
    for keys in key_sets() {
        for level in LEVELS {
            for len in DATA {
                each(&keys, level, &vec![0xA4; len]);
            }
        }
    }
}

/// Key sets of every kind, each with either RC agreed on.
fn key_sets() -> Vec<KeySet> {
    let key = |algorithm, octets: usize| {
        let octets: Vec<u8> = (0..octets).map(|octet| 0x1F_u8.wrapping_mul(octet as u8 + 1)).collect();
        Key::new(algorithm, &octets).unwrap()
    };
    let keys = |kic: Key, kid: Key, cc_len| KeySet::new(3, kic, kid, cc_len).unwrap();
    let aes = |octets, cc_len| keys(key(Algorithm::Aes, octets), key(Algorithm::Aes, octets), cc_len);
    let (des, tdes2, tdes3) =
        (key(Algorithm::Des, 8), key(Algorithm::TripleDes2, 16), key(Algorithm::TripleDes3, 24));
    let kinds = [
        aes(16, 8),
        aes(24, 8),
        aes(32, 8),
        aes(16, 4),
        keys(tdes2.clone(), tdes2.clone(), 8),
        keys(tdes3.clone(), tdes3, 8),
        keys(des.clone(), des.clone(), 8),
        keys(des, tdes2.clone(), 8).in_ecb().unwrap(),
        keys(tdes2.clone(), tdes2, 8).in_ecb().unwrap(),
    ];
    let key_sets: Vec<_> = kinds
        .into_iter()
        .flat_map(|keys| [Crc::Crc16, Crc::Crc32].map(|crc| keys.clone().with_crc(crc)))
        .collect();
    assert_eq!(key_sets.len(), KEY_SETS);
    key_sets
}

fn cntr() -> Cntr {
    Cntr::try_from(0x01_0203_0405).unwrap()
}
