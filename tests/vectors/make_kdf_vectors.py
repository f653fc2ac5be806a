#!/usr/bin/env python3
"""Computes crypto_kdf_vectors.hpp with Python's hmac and hashlib, since no RFC has HMAC or HKDF vectors with BLAKE2s.

Usage: make_kdf_vectors.py > crypto_kdf_vectors.hpp
"""
import hashlib
import hmac


def mac(key, message):
    return hmac.new(key, message, hashlib.blake2s).digest()


def hkdf(key, message):
    extracted = mac(key, message)
    block, blocks = b"", []
    for number in (1, 2, 3):
        block = mac(extracted, block + bytes([number]))
        blocks.append(block)
    return blocks


def sample(label, size):
    """Bytes that look random and are the same everywhere."""
    return hashlib.shake_128(label.encode()).digest(size)


def row(*values):
    return "    {" + ", ".join(f'"{value.hex()}"' for value in values) + "},"


# The first three are those of wireguard-go's device/kdf_test.go, their keys filled up with zeros, as HMAC does itself.
KDF_INPUTS = [
    (b"test-key".ljust(32, b"\0"), b"test-input"),
    (b"wireguard".ljust(32, b"\0"), b"wireguard"),
    (bytes(32), b""),
    (sample("chaining key", 32), sample("shared secret", 32)),
    (sample("all ones", 32), b"\xff" * 32),
    (sample("long input", 32), sample("input", 148)),
]

HMAC_INPUTS = [(sample(f"hmac key {size}", size), sample(f"hmac message {size}", length))
               for size, length in ((0, 0), (1, 1), (31, 63), (32, 64), (32, 65), (33, 128), (63, 200), (64, 33))]

print("// HMAC-BLAKE2s and HKDF with it, computed by make_kdf_vectors.py.")
print("#pragma once\n\n#include <string_view>\n\nnamespace culvert {\n")
print("struct HmacVector {\n  std::string_view key;\n  std::string_view message;\n  std::string_view mac;\n};\n")
print("// clang-format off\ninline constexpr HmacVector hmac_vectors[] = {")
for key, message in HMAC_INPUTS:
    print(row(key, message, mac(key, message)))
print("};\n// clang-format on\n")
print("struct KdfVector {\n  std::string_view key;\n  std::string_view input;\n  std::string_view first;\n"
      "  std::string_view second;\n  std::string_view third;\n};\n")
print("// clang-format off\ninline constexpr KdfVector kdf_vectors[] = {")
for key, message in KDF_INPUTS:
    print(row(key, message, *hkdf(key, message)))
print("};\n// clang-format on\n\n}  // namespace culvert")
