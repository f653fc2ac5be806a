// HKDF on HMAC-BLAKE2s as Noise uses it: KDF1, KDF2 and KDF3 of the WireGuard paper, section 5.4.
#pragma once

#include "culvert/crypto/keys.hpp"

namespace culvert {

/// `first` = KDF1(key, input). `first` may be the memory `key` lies in.
void kdf1(KeyView key, ByteView input, KeySpan first) noexcept;
void kdf2(KeyView key, ByteView input, KeySpan first, KeySpan second) noexcept;
void kdf3(KeyView key, ByteView input, KeySpan first, KeySpan second, KeySpan third) noexcept;

}  // namespace culvert
