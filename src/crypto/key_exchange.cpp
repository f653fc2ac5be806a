// X25519 by libsodium.
#include "culvert/crypto/key_exchange.hpp"

#include <sodium.h>

namespace culvert {
namespace {

const unsigned char* in(KeyView bytes) noexcept {
  return reinterpret_cast<const unsigned char*>(bytes.data());
}
unsigned char* out(KeySpan bytes) noexcept {
  return reinterpret_cast<unsigned char*>(bytes.data());
}

}  // namespace

SecretKey generate_secret_key(Random& random) {
  SecretKey secret;
  const KeySpan bytes = secret.writable_bytes();
  random.fill(bytes);
  bytes[0] &= std::byte{0xf8};
  bytes[31] = (bytes[31] & std::byte{0x7f}) | std::byte{0x40};
  return secret;
}

PublicKey public_key_of(const SecretKey& secret) noexcept {
  std::array<std::byte, key_size> bytes;
  // Multiplying the base point cannot give the neutral element, so there is no failure to handle.
  (void)crypto_scalarmult_base(out(bytes), in(secret.bytes()));
  return PublicKey(bytes);
}

bool key_exchange(const SecretKey& ours, const PublicKey& theirs, SharedSecret& shared) noexcept {
  const int status = crypto_scalarmult(out(shared.writable_bytes()), in(ours.bytes()), in(theirs.bytes()));
  // libsodium refuses low-order points by itself; the paper's rule does not depend on that (RFC 7748 section 6.1).
  if (status == 0 && !shared.is_zero()) return true;
  wipe(shared.writable_bytes());
  return false;
}

}  // namespace culvert
