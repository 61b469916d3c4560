"""Secured packets by another hand: TS 102 225 written once more, on the ciphers and the CMAC of PyCryptodome, prints random
commands and responses in the form of `tests/data/ota-vectors.json`, always the same ones. `tests/ota_vectors` opens each,
and seals each to the same octets."""

import binascii
import json
from random import Random

from Crypto.Cipher import AES, DES, DES3
from Crypto.Hash import CMAC

PACKETS = 600

NONE, RC, CC = range(3)
# Cipher, octets of a key, low nibble of KIc and KID.
ALGORITHMS = [(AES, 16, 2), (AES, 24, 2), (AES, 32, 2), (DES, 8, 1), (DES3, 16, 5), (DES3, 24, 9)]

random = Random(348)


def crc16(octets):
    register = 0xFFFF
    for octet in octets:
        register ^= octet
        for _ in range(8):
            register = register >> 1 ^ (0x8408 if register & 1 else 0)
    return (register ^ 0xFFFF).to_bytes(2, "big")


def crc32(octets):
    return binascii.crc32(octets).to_bytes(4, "big")


def mac(cipher, key, octets):
    if cipher is AES:
        return CMAC.new(key, octets, AES).digest()
    filled = octets + bytes(-len(octets) % 8)
    return cipher.new(key, cipher.MODE_CBC, bytes(8)).encrypt(filled)[-8:]


class Keys:
    """A key set, and what its cards have agreed on."""

    def __init__(self):
        self.number = random.randrange(16)
        self.cipher, kic_octets, self.kic_nibble = random.choice(ALGORITHMS)
        self.mac_cipher, kid_octets, self.kid_nibble = random.choice(ALGORITHMS)
        # DES3 refuses keys whose parts are equal; random ones are not.
        self.kic, self.kid = random.randbytes(kic_octets), random.randbytes(kid_octets)
        self.cc_octets = random.choice([4, 8]) if self.mac_cipher is AES else 8
        self.ecb = self.cipher is not AES and random.random() < 0.2
        if self.ecb:
            # Single DES has a value for it, triple DES says "implicitly known".
            self.kic_nibble = 0xD if self.cipher is DES else self.kic_nibble & 0xC

    def encipher(self, octets):
        if self.ecb:
            return self.cipher.new(self.kic, self.cipher.MODE_ECB).encrypt(octets)
        return self.cipher.new(self.kic, self.cipher.MODE_CBC, bytes(self.cipher.block_size)).encrypt(octets)

    def fields(self, kid):
        kic = self.number << 4 | self.kic_nibble
        return {
            "kic": f"{kic:02x}",
            "kid": f"{kid:02x}",
            "kic_key": self.kic.hex(),
            "kid_key": self.kid.hex(),
            "cc_len": self.cc_octets,
        }


def packet(keys, udh, clear, status, data, integrity, ciphered, crc):
    """`clear` and `status` are the fields before and after the bar up to PCNTR and behind it, without the lengths; `udh` is
    what the check covers before the packet."""
    check_octets = {NONE: 0, RC: 2 if crc is crc16 else 4, CC: keys.cc_octets}[integrity]
    counter, after_pcntr = status
    secured = len(counter) + 1 + len(after_pcntr) + check_octets + len(data)
    pcntr = -secured % keys.cipher.block_size if ciphered else 0
    # The header length counts up to the check.
    header = len(clear) + secured - len(data)
    length = 1 + len(clear) + secured + pcntr
    head = length.to_bytes(2, "big") + bytes([header]) + clear + counter + bytes([pcntr]) + after_pcntr
    body = data + bytes(pcntr)
    covered = udh + head + body
    check = b""
    if integrity == RC:
        check = crc(covered)
    elif integrity == CC:
        check = mac(keys.mac_cipher, keys.kid, covered)[:check_octets]
    whole = head + check + body
    ciphered_from = 3 + len(clear)
    if ciphered:
        whole = whole[:ciphered_from] + keys.encipher(whole[ciphered_from:])
    return whole, pcntr


def vector(index):
    keys = Keys()
    command = random.random() < 0.5
    integrity, ciphered, crc = random.choice([NONE, RC, CC]), random.random() < 0.6, random.choice([crc16, crc32])
    rc_nibble = 1 if crc is crc16 else 5
    kid = keys.number << 4 | (rc_nibble if integrity == RC else keys.kid_nibble)
    tar, counter = random.randbytes(3), random.randbytes(5)
    data = random.randbytes(random.choice([0, 1, 7, 8, 9, 15, 16, 17, random.randrange(100), random.randrange(400)]))
    level = integrity | ciphered << 2
    # Any counter mode, any way of the response, any reserved bits.
    spi = [level | random.randrange(32) << 3, random.randrange(256)]
    if not command:
        spi = [random.randrange(256), level << 2 | random.randrange(4) | random.randrange(8) << 5]
    fields = {
        "id": f"p{index}",
        "kind": "command" if command else "response",
        "note": f"{len(data)} octets",
        "spi": bytes(spi).hex(),
        "tar": tar.hex(),
        "cntr": counter.hex(),
        "payload": data.hex(),
        **keys.fields(kid),
    }
    if command:
        clear = bytes(spi) + bytes([keys.number << 4 | keys.kic_nibble, kid]) + tar
        whole, fields["pcntr"] = packet(keys, b"", clear, (counter, b""), data, integrity, ciphered, crc)
        fields["packet"] = whole.hex()
    else:
        udh, rsc = b"\x02\x71\x00", random.randbytes(1)
        whole, fields["pcntr"] = packet(keys, udh, tar, (counter, rsc), data, integrity, ciphered, crc)
        fields |= {"rsc": rsc.hex(), "sms_ud": (udh + whole).hex()}
    return fields


print(json.dumps({"count": PACKETS, "vectors": [vector(index) for index in range(PACKETS)]}))
