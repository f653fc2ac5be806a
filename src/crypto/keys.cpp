// The pool of locked memory behind every secret, and the text forms of keys.
#include "culvert/crypto/keys.hpp"

#include <sodium.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <exception>
#include <mutex>
#include <type_traits>

#include "culvert/crypto/aead.hpp"
#include "libgcrypt_memory.hpp"

namespace culvert {
namespace {

/// The largest page of any Linux architecture: a slab shares no page with other memory on any of them, and locking
/// and MADV_DONTDUMP work on whole pages.
constexpr std::size_t slab_size = 65'536;

std::atomic<bool> all_locked = true;

/// Hands out slots of `Size` bytes. A free slot holds only the address of the next free one; a slab is never given
/// back, so that a slot's memory stays locked whatever happens to its neighbours.
template <std::size_t Size>
class SlotPool {
 public:
  std::byte* take() noexcept {
    const std::lock_guard lock(mutex_);
    if (free_ == nullptr) add_slab();
    std::byte* slot = free_;
    std::memcpy(&free_, slot, sizeof free_);
    std::fill_n(slot, sizeof free_, std::byte{0});
    return slot;
  }

  void give_back(std::byte* slot) noexcept {
    sodium_memzero(slot, Size);
    const std::lock_guard lock(mutex_);
    push(slot);
  }

 private:
  void add_slab() noexcept {
    auto* slab = static_cast<std::byte*>(std::aligned_alloc(slab_size, slab_size));
    if (slab == nullptr) std::terminate();
    // Excludes the slab from core dumps even where locking is refused.
    if (sodium_mlock(slab, slab_size) != 0) all_locked.store(false, std::memory_order_relaxed);
    std::memset(slab, 0, slab_size);
    for (std::size_t i = slab_size / Size; i != 0; --i) push(slab + (i - 1) * Size);
  }

  void push(std::byte* slot) noexcept {
    std::memcpy(slot, &free_, sizeof free_);
    free_ = slot;
  }

  std::mutex mutex_;
  std::byte* free_ = nullptr;
};

// Neither constructed nor destroyed at run time, so that secrets in static objects may come first and go last.
static_assert(std::is_trivially_destructible_v<SlotPool<key_size>>);
template <std::size_t Size>
constinit SlotPool<Size> pool;

}  // namespace

namespace detail {

template <std::size_t Size>
LockedSlot<Size>::LockedSlot() : slot_(pool<Size>.take()) {}

template <std::size_t Size>
LockedSlot<Size>::~LockedSlot() {
  if (slot_ != nullptr) pool<Size>.give_back(slot_);
}

template class LockedSlot<key_size>;
template class LockedSlot<aead_context_size>;
template class LockedSlot<libgcrypt_slot_size>;

}  // namespace detail

bool secrets_are_locked() noexcept {
  return all_locked.load(std::memory_order_relaxed);
}

template <class Tag>
bool Secret<Tag>::is_zero() const noexcept {
  return sodium_is_zero(reinterpret_cast<const unsigned char*>(bytes().data()), key_size) == 1;
}

template <class Tag>
bool Secret<Tag>::equal(const Secret& a, const Secret& b) noexcept {
  return equal_in_constant_time(a.bytes(), b.bytes());
}

template class Secret<struct SecretKeyTag>;
template class Secret<struct PresharedKeyTag>;
template class Secret<struct SharedSecretTag>;
template class Secret<struct ChainingKeyTag>;
template class Secret<struct SymmetricKeyTag>;
template class Secret<struct BenchTokenTag>;

std::string PublicKey::to_base64() const {
  std::array<char, 44> text{};
  key_to_base64(bytes_, text);
  return {text.begin(), text.end()};
}

bool key_from_base64(std::string_view text, KeySpan out) noexcept {
  const int status = sodium_base642bin(reinterpret_cast<unsigned char*>(out.data()), out.size(), text.data(),
                                       text.size(), nullptr, nullptr, nullptr, sodium_base64_VARIANT_ORIGINAL);
  // libsodium 1.0.18 takes some characters above 0x7f for letters. Only the text that encodes the key stands for it.
  std::array<char, 44> canonical;
  key_to_base64(out, canonical);
  const bool same = equal_in_constant_time(bytes_of(text), std::as_bytes(std::span(canonical)));
  sodium_memzero(canonical.data(), canonical.size());
  if (status == 0 && same) return true;
  wipe(out);
  return false;
}

bool key_from_hex(std::string_view text, KeySpan out) noexcept {
  std::size_t size = 0;
  const int status = sodium_hex2bin(reinterpret_cast<unsigned char*>(out.data()), out.size(), text.data(), text.size(),
                                    nullptr, &size, nullptr);
  if (status == 0 && size == out.size()) return true;
  wipe(out);
  return false;
}

void key_to_base64(KeyView key, std::span<char, 44> out) noexcept {
  std::array<char, 45> text;
  sodium_bin2base64(text.data(), text.size(), reinterpret_cast<const unsigned char*>(key.data()), key.size(),
                    sodium_base64_VARIANT_ORIGINAL);
  std::memcpy(out.data(), text.data(), out.size());
  sodium_memzero(text.data(), text.size());
}

void key_to_hex(KeyView key, std::span<char, 64> out) noexcept {
  std::array<char, 65> text;
  sodium_bin2hex(text.data(), text.size(), reinterpret_cast<const unsigned char*>(key.data()), key.size());
  std::memcpy(out.data(), text.data(), out.size());
  sodium_memzero(text.data(), text.size());
}

void wipe(ByteSpan memory) noexcept {
  sodium_memzero(memory.data(), memory.size());
}

bool equal_in_constant_time(ByteView a, ByteView b) noexcept {
  return a.size() == b.size() && sodium_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace culvert
