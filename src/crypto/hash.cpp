// BLAKE2s by libgcrypt.
#include "culvert/crypto/hash.hpp"

#include <gcrypt.h>

#include <cassert>
#include <exception>

#include "culvert/crypto/keys.hpp"

namespace culvert {
namespace {

constexpr std::size_t block_size = 64;
constexpr std::size_t most_parts = 4;

/// A failure here means an algorithm that initialize_crypto() found working has gone, or memory has: there is no hash
/// to return, and a made-up one could be forged.
void require(gcry_error_t error) noexcept {
  if (error != 0) std::terminate();
}

/// Hashes `first` and then `parts` into `out`.
void hash_into(ByteView first, std::initializer_list<ByteView> parts, std::span<std::byte, 32> out) noexcept {
  std::array<gcry_buffer_t, 1 + most_parts> buffers{};
  assert(parts.size() <= most_parts);
  std::size_t count = 0;
  const auto add = [&](ByteView part) {
    buffers[count].data = const_cast<std::byte*>(part.data());
    buffers[count].len = part.size();
    ++count;
  };
  add(first);
  for (const ByteView part : parts) add(part);
  require(gcry_md_hash_buffers(GCRY_MD_BLAKE2S_256, 0, out.data(), buffers.data(), static_cast<int>(count)));
}

/// A BLAKE2s-128 state that is allocated once per thread, because MACs are checked for every handshake message that
/// anybody cares to send.
class KeyedState {
 public:
  KeyedState() noexcept { require(gcry_md_open(&handle_, GCRY_MD_BLAKE2S_128, 0)); }
  ~KeyedState() { gcry_md_close(handle_); }
  KeyedState(const KeyedState&) = delete;
  KeyedState& operator=(const KeyedState&) = delete;

  Mac mac(ByteView key, std::initializer_list<ByteView> parts) noexcept {
    require(gcry_md_setkey(handle_, key.data(), key.size()));
    for (const ByteView part : parts) gcry_md_write(handle_, part.data(), part.size());
    Mac result;
    std::memcpy(result.data(), gcry_md_read(handle_, GCRY_MD_BLAKE2S_128), result.size());
    gcry_md_reset(handle_);  // overwrites the key
    return result;
  }

 private:
  gcry_md_hd_t handle_ = nullptr;
};

}  // namespace

Digest blake2s(std::initializer_list<ByteView> parts) noexcept {
  Digest digest;
  hash_into({}, parts, digest);
  return digest;
}

Mac keyed_blake2s(ByteView key, std::initializer_list<ByteView> parts) noexcept {
  thread_local KeyedState state;
  return state.mac(key, parts);
}

void hmac_blake2s(ByteView key, std::initializer_list<ByteView> parts, std::span<std::byte, 32> out) noexcept {
  assert(key.size() <= block_size);
  std::array<std::byte, block_size> inner_pad;
  std::array<std::byte, block_size> outer_pad;
  inner_pad.fill(std::byte{0x36});
  outer_pad.fill(std::byte{0x5c});
  for (std::size_t i = 0; i < key.size(); ++i) {
    inner_pad[i] ^= key[i];
    outer_pad[i] ^= key[i];
  }
  Digest inner;
  hash_into(inner_pad, parts, inner);
  hash_into(outer_pad, {inner}, out);
  wipe(inner_pad);
  wipe(outer_pad);
  wipe(inner);
}

}  // namespace culvert
