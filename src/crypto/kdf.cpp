// HKDF steps: extract with the chaining key as salt, then expand block by block (RFC 5869, without info).
#include "culvert/crypto/kdf.hpp"

#include "culvert/crypto/hash.hpp"

namespace culvert {
namespace {

/// The pseudorandom key of one HKDF, wiped when it goes.
class Extracted {
 public:
  Extracted(KeyView key, ByteView input) noexcept { hmac_blake2s(key, {input}, key_); }
  ~Extracted() { wipe(key_); }
  Extracted(const Extracted&) = delete;
  Extracted& operator=(const Extracted&) = delete;

  /// Output block `number`, which follows block `previous` (empty before the first).
  void expand(ByteView previous, std::uint8_t number, KeySpan out) const noexcept {
    const std::byte last{number};
    hmac_blake2s(key_, {previous, ByteView(&last, 1)}, out);
  }

 private:
  Digest key_;
};

}  // namespace

void kdf1(KeyView key, ByteView input, KeySpan first) noexcept {
  const Extracted extracted(key, input);
  extracted.expand({}, 1, first);
}

void kdf2(KeyView key, ByteView input, KeySpan first, KeySpan second) noexcept {
  const Extracted extracted(key, input);
  extracted.expand({}, 1, first);
  extracted.expand(first, 2, second);
}

void kdf3(KeyView key, ByteView input, KeySpan first, KeySpan second, KeySpan third) noexcept {
  const Extracted extracted(key, input);
  extracted.expand({}, 1, first);
  extracted.expand(first, 2, second);
  extracted.expand(second, 3, third);
}

}  // namespace culvert
