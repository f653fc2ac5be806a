#!/usr/bin/env python3
"""Computes whole WireGuard handshakes from the paper and the RFCs, sharing no code with culvert.

Usage: make_handshake_vectors.py > handshake_vectors.hpp

The primitives are checked against the published test vectors of RFC 7748, RFC 8439 and
draft-irtf-cfrg-xchacha before anything is written.
"""

import hashlib
import hmac
import struct


# X25519, RFC 7748 section 5.

P = 2**255 - 19


def clamp(scalar):
    s = bytearray(scalar)
    s[0] &= 248
    s[31] = s[31] & 127 | 64
    return bytes(s)


def x25519(scalar, point):
    k = int.from_bytes(clamp(scalar), "little")
    u = int.from_bytes(point, "little") & (2**255 - 1)
    x2, z2, x3, z3, swap = 1, 0, u, 1, 0
    for t in reversed(range(255)):
        bit = k >> t & 1
        if swap ^ bit:
            x2, x3, z2, z3 = x3, x2, z3, z2
        swap = bit
        a, b, c, d = x2 + z2, x2 - z2, x3 + z3, x3 - z3
        aa, bb, da, cb = a * a, b * b, d * a, c * b
        e = aa - bb
        x3, z3 = (da + cb) ** 2 % P, u * (da - cb) ** 2 % P
        x2, z2 = aa * bb % P, e * (aa + 121665 * e) % P
    if swap:
        x2, z2 = x3, z3
    return (x2 * pow(z2, P - 2, P) % P).to_bytes(32, "little")


def public_key(secret):
    return x25519(secret, (9).to_bytes(32, "little"))


# ChaCha20-Poly1305, RFC 8439; XChaCha20, draft-irtf-cfrg-xchacha.


def chacha_rounds(state):
    s = list(state)

    def rotate_left(v, n):
        return (v << n | v >> (32 - n)) & 0xFFFFFFFF

    def quarter(a, b, c, d):
        for x, y, z, n in ((a, b, d, 16), (c, d, b, 12), (a, b, d, 8), (c, d, b, 7)):
            s[x] = (s[x] + s[y]) & 0xFFFFFFFF
            s[z] = rotate_left(s[z] ^ s[x], n)

    for _ in range(10):
        for i in range(4):
            quarter(i, 4 + i, 8 + i, 12 + i)
        for i in range(4):
            quarter(i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4)
    return s


CONSTANTS = struct.unpack("<4I", b"expand 32-byte k")


def chacha20_block(key, counter, nonce):
    state = CONSTANTS + struct.unpack("<8I", key) + (counter,) + struct.unpack("<3I", nonce)
    return struct.pack("<16I", *((a + b) & 0xFFFFFFFF for a, b in zip(state, chacha_rounds(state))))


def chacha20(key, counter, nonce, data):
    stream = b"".join(chacha20_block(key, counter + i, nonce) for i in range((len(data) + 63) // 64))
    return bytes(a ^ b for a, b in zip(data, stream))


def hchacha20(key, nonce):
    s = chacha_rounds(CONSTANTS + struct.unpack("<8I", key) + struct.unpack("<4I", nonce))
    return struct.pack("<8I", *s[:4], *s[12:])


def poly1305(key, data):
    r = int.from_bytes(key[:16], "little") & 0x0FFFFFFC0FFFFFFC0FFFFFFC0FFFFFFF
    accumulator = 0
    for i in range(0, len(data), 16):
        accumulator = (accumulator + int.from_bytes(data[i : i + 16] + b"\1", "little")) * r % (2**130 - 5)
    return ((accumulator + int.from_bytes(key[16:], "little")) % 2**128).to_bytes(16, "little")


def aead_with_nonce(key, nonce, plaintext, associated):
    sealed = chacha20(key, 1, nonce, plaintext)
    one_time_key = chacha20_block(key, 0, nonce)[:32]

    def pad(data):
        return data + bytes(-len(data) % 16)

    lengths = struct.pack("<QQ", len(associated), len(sealed))
    return sealed + poly1305(one_time_key, pad(associated) + pad(sealed) + lengths)


def aead(key, counter, plaintext, associated):
    return aead_with_nonce(key, struct.pack("<IQ", 0, counter), plaintext, associated)


def xaead(key, nonce, plaintext, associated):
    return aead_with_nonce(hchacha20(key, nonce[:16]), bytes(4) + nonce[16:], plaintext, associated)


def check_primitives():
    h = bytes.fromhex
    assert x25519(
        h("a546e36bf0527c9d3b16154b82465edd62144c0ac1fc5a18506a2244ba449ac4"),
        h("e6db6867583030db3594c1a424b15f7c726624ec26b3353b10a903a6d0ab1c4c"),
    ) == h("c3da55379de9c6908e94ea4df28d084f32eccf03491c71f754b4075577a28552")
    sealed = aead_with_nonce(
        bytes(range(0x80, 0xA0)),
        h("070000004041424344454647"),
        b"Ladies and Gentlemen of the class of '99: If I could offer you only one tip for the future, "
        b"sunscreen would be it.",
        h("50515253c0c1c2c3c4c5c6c7"),
    )
    assert sealed[-16:] == h("1ae10b594f09e26a7e902ecbd0600691")
    assert hchacha20(bytes(range(32)), h("000000090000004a0000000031415927")) == h(
        "82413b4227b27bfed30e42508a877d73a0f9e4d58a74a853c12ec41326d3ecdc"
    )


# The WireGuard paper, section 5.4.


def blake2s(*parts):
    return hashlib.blake2s(b"".join(parts)).digest()


def mac(key, data):
    return hashlib.blake2s(data, key=key, digest_size=16).digest()


def kdf(count, key, data):
    secret = hmac.new(key, data, hashlib.blake2s).digest()
    outputs, last = [], b""
    for i in range(1, count + 1):
        last = hmac.new(secret, last + bytes([i]), hashlib.blake2s).digest()
        outputs.append(last)
    return outputs


class Noise:
    def __init__(self, responder):
        self.ck = blake2s(b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s")
        self.h = blake2s(blake2s(self.ck, b"WireGuard v1 zx2c4 Jason@zx2c4.com"), responder)

    def ephemeral(self, key):
        (self.ck,) = kdf(1, self.ck, key)
        self.h = blake2s(self.h, key)

    def mix(self, secret):
        self.ck, key = kdf(2, self.ck, secret)
        return key

    def seal(self, key, plaintext):
        sealed = aead(key, 0, plaintext, self.h)
        self.h = blake2s(self.h, sealed)
        return sealed


def create_initiation(index, initiator, responder_public, ephemeral, timestamp):
    noise = Noise(responder_public)
    noise.ephemeral(public_key(ephemeral))
    message = struct.pack("<II", 1, index) + public_key(ephemeral)
    message += noise.seal(noise.mix(x25519(ephemeral, responder_public)), public_key(initiator))
    message += noise.seal(noise.mix(x25519(initiator, responder_public)), timestamp)
    return noise, message


def create_response(noise, index, receiver, initiator_public, initiator_ephemeral, ephemeral, psk):
    noise.ephemeral(public_key(ephemeral))
    noise.mix(x25519(ephemeral, initiator_ephemeral))
    noise.mix(x25519(ephemeral, initiator_public))
    noise.ck, to_hash, key = kdf(3, noise.ck, psk)
    noise.h = blake2s(noise.h, to_hash)
    return struct.pack("<III", 2, index, receiver) + public_key(ephemeral) + noise.seal(key, b"")


def add_macs(message, receiver_public, cookie=None):
    message += mac(blake2s(b"mac1----", receiver_public), message)
    return message + (mac(cookie, message) if cookie else bytes(16))


def tai64n(nanoseconds):
    seconds, rest = divmod(nanoseconds, 10**9)
    return struct.pack(">QI", 0x400000000000000A + seconds, rest // 2**24 * 2**24)


def transport(key, receiver, counter, frame, mtu):
    padded = max(len(frame), min((len(frame) + 15) // 16 * 16, mtu))
    header = struct.pack("<IIQ", 4, receiver, counter)
    return header + aead(key, counter, frame + bytes(padded - len(frame)), b"")


def stream(label, size):
    """`size` reproducible bytes."""
    return b"".join(blake2s(label.encode(), struct.pack("<I", i)) for i in range(size // 32 + 1))[:size]


def make_vector(name, psk, address_text, address, port):
    initiator = clamp(stream(name + " initiator", 32))
    responder = clamp(stream(name + " responder", 32))
    random = {
        which: stream(name + " " + which, size)
        for which, size in (
            ("first_ephemeral", 32),
            ("cookie_secret", 32),
            ("cookie_nonce", 24),
            ("second_ephemeral", 32),
            ("response_ephemeral", 32),
        )
    }
    first_index, second_index, response_index = 0x01020304, 0xFFFEFDFC, 0x80000001
    wall = 1_700_000_000_123_456_789
    second_wall = wall + 5_003_000_000
    initiator_public, responder_public = public_key(initiator), public_key(responder)

    # An initiation that meets a responder under load, the cookie for it, and the same again with the cookie.
    _, message = create_initiation(first_index, initiator, responder_public, random["first_ephemeral"], tai64n(wall))
    first = add_macs(message, responder_public)
    cookie = mac(random["cookie_secret"], address + struct.pack(">H", port))
    cookie_reply = struct.pack("<II", 3, first_index) + random["cookie_nonce"]
    cookie_reply += xaead(blake2s(b"cookie--", responder_public), random["cookie_nonce"], cookie, first[-32:-16])
    noise, message = create_initiation(
        second_index, initiator, responder_public, random["second_ephemeral"], tai64n(second_wall)
    )
    second = add_macs(message, responder_public, cookie)

    response = create_response(
        noise,
        response_index,
        second_index,
        initiator_public,
        public_key(random["second_ephemeral"]),
        random["response_ephemeral"],
        psk,
    )
    response = add_macs(response, initiator_public)
    from_initiator, from_responder = kdf(2, noise.ck, b"")

    transports = []
    counters = {True: 0, False: 0}
    for by_initiator, size, mtu in (
        (True, 0, 1420),
        (True, 20, 1420),
        (False, 84, 1420),
        (False, 32, 1420),
        (True, 99, 100),
        (False, 100, 100),
    ):
        frame = stream(f"{name} frame {len(transports)}", size)
        key, receiver = (from_initiator, response_index) if by_initiator else (from_responder, second_index)
        transports.append((by_initiator, mtu, frame, transport(key, receiver, counters[by_initiator], frame, mtu)))
        counters[by_initiator] += 1

    return [
        ("name", name),
        ("initiator_secret", initiator),
        ("responder_secret", responder),
        ("initiator_public", initiator_public),
        ("responder_public", responder_public),
        ("preshared_key", psk),
        *random.items(),
        ("source", f"{address_text}:{port}"),
        ("wall", wall),
        ("second_wall", second_wall),
        ("first_index", first_index),
        ("second_index", second_index),
        ("response_index", response_index),
        ("first_initiation", first),
        ("cookie_reply", cookie_reply),
        ("second_initiation", second),
        ("response", response),
        ("transports", transports),
    ]


def literal(value, indent):
    if isinstance(value, str):
        return f'"{value}"'
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value)
    digits = value.hex()
    pieces = [digits[i : i + 64] for i in range(0, len(digits), 64)] or [""]
    return ("\n" + indent).join(f'"{piece}"' for piece in pieces)


HEADER = """\
// Recorded handshakes, made by make_handshake_vectors.py; bytes are hexadecimal.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace culvert {

struct TransportVector {
  bool by_initiator;
  std::size_t mtu;
  std::string_view frame;
  std::string_view message;
};

/// An initiation, the cookie reply it meets, a second initiation with the cookie, the response, and first messages.
/// Ephemeral secrets are as drawn, before clamping.
struct HandshakeVector {
  std::string_view name;
  std::string_view initiator_secret;
  std::string_view responder_secret;
  std::string_view initiator_public;
  std::string_view responder_public;
  std::string_view preshared_key;
  std::string_view first_ephemeral;
  std::string_view cookie_secret;
  std::string_view cookie_nonce;
  std::string_view second_ephemeral;
  std::string_view response_ephemeral;
  std::string_view source;
  std::int64_t wall;  ///< nanoseconds since 1970
  std::int64_t second_wall;
  std::uint32_t first_index;
  std::uint32_t second_index;
  std::uint32_t response_index;
  std::string_view first_initiation;
  std::string_view cookie_reply;
  std::string_view second_initiation;
  std::string_view response;
  std::array<TransportVector, 6> transports;
};

// clang-format off
inline constexpr HandshakeVector handshake_vectors[] = {
"""


def main():
    check_primitives()
    v6 = bytes.fromhex("20010db8000000000000000000000001")
    vectors = [
        make_vector("without preshared key", bytes(32), "192.0.2.1", bytes([192, 0, 2, 1]), 51820),
        make_vector("with preshared key", stream("preshared key", 32), "[2001:db8::1]", v6, 258),
    ]
    print(HEADER, end="")
    for vector in vectors:
        print("  {")
        for field, value in vector:
            if field != "transports":
                print(f"    .{field} =\n        {literal(value, '        ')},")
                continue
            print("    .transports = {{")
            for entry in value:
                print("      {" + ",\n       ".join(literal(part, "       ") for part in entry) + "},")
            print("    }},")
        print("  },")
    print("};\n// clang-format on\n\n}  // namespace culvert")


if __name__ == "__main__":
    main()
