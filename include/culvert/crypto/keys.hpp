// Key types that cannot be mixed up, live in locked memory and are wiped when they go.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "culvert/base/bytes.hpp"

namespace culvert {

inline constexpr std::size_t key_size = 32;
using KeyView = std::span<const std::byte, key_size>;
using KeySpan = std::span<std::byte, key_size>;

namespace detail {
/// Owns one slot of locked memory (mlock, excluded from core dumps), zeroed when taken and when given back. Slots come
/// from a process-wide pool for each size that any thread may use. If the system refuses to lock more memory, slots are
/// handed out unlocked and secrets_are_locked() turns false. Terminates if there is no memory at all. Aligned to the
/// greatest power of two that divides Size.
template <std::size_t Size>
class LockedSlot {
 public:
  LockedSlot();
  /// Takes over what release() returned.
  explicit LockedSlot(std::byte* released) noexcept : slot_(released) {}
  ~LockedSlot();
  LockedSlot(LockedSlot&& other) noexcept : slot_(std::exchange(other.slot_, nullptr)) {}
  LockedSlot& operator=(LockedSlot&& other) noexcept {
    LockedSlot taken(std::move(other));  // what was here is wiped now, not when `other` goes
    std::swap(slot_, taken.slot_);
    return *this;
  }
  /// The slot, which is the caller's from now on; this object is empty.
  [[nodiscard]] std::byte* release() noexcept { return std::exchange(slot_, nullptr); }
  /// After its memory has moved to another slot.
  [[nodiscard]] bool is_empty() const noexcept { return slot_ == nullptr; }
  [[nodiscard]] std::span<std::byte, Size> bytes() const noexcept { return std::span<std::byte, Size>(slot_, Size); }

 private:
  std::byte* slot_;
};
}  // namespace detail

/// False once any secret had to be kept in memory that could not be locked (RLIMIT_MEMLOCK). Any thread.
[[nodiscard]] bool secrets_are_locked() noexcept;

/// A 32-byte secret of one kind. Move-only: a copy is asked for by name. No ordering, no hash, no stream, no
/// formatter; equality in constant time. A moved-from secret may only be destroyed or assigned to.
template <class Tag>
class Secret {
 public:
  /// All zero.
  Secret() = default;
  /// Copies `bytes`; wiping those is the caller's business.
  explicit Secret(KeyView bytes) { copy_bytes(bytes, slot_.bytes()); }
  Secret(Secret&&) noexcept = default;
  Secret& operator=(Secret&&) noexcept = default;

  [[nodiscard]] Secret clone() const { return Secret(bytes()); }
  [[nodiscard]] KeyView bytes() const noexcept { return slot_.bytes(); }
  [[nodiscard]] KeySpan writable_bytes() noexcept { return slot_.bytes(); }
  [[nodiscard]] bool is_zero() const noexcept;
  friend bool operator==(const Secret& a, const Secret& b) noexcept { return equal(a, b); }

 private:
  static bool equal(const Secret& a, const Secret& b) noexcept;
  detail::LockedSlot<key_size> slot_;
};

/// A Curve25519 private key, static or ephemeral.
using SecretKey = Secret<struct SecretKeyTag>;
/// Mixed into each handshake; all zero means none (the protocol's own convention).
using PresharedKey = Secret<struct PresharedKeyTag>;
/// The result of a Diffie-Hellman exchange.
using SharedSecret = Secret<struct SharedSecretTag>;
/// Noise's ck.
using ChainingKey = Secret<struct ChainingKeyTag>;
/// Keys one AEAD.
using SymmetricKey = Secret<struct SymmetricKeyTag>;
/// What a connection for a benchmark has to begin with.
using BenchToken = Secret<struct BenchTokenTag>;

extern template class Secret<struct SecretKeyTag>;
extern template class Secret<struct PresharedKeyTag>;
extern template class Secret<struct SharedSecretTag>;
extern template class Secret<struct ChainingKeyTag>;
extern template class Secret<struct SymmetricKeyTag>;
extern template class Secret<struct BenchTokenTag>;

/// A Curve25519 public key: a plain value that names a peer.
class PublicKey {
 public:
  constexpr PublicKey() = default;
  explicit PublicKey(KeyView bytes) noexcept { copy_bytes(bytes, bytes_); }
  [[nodiscard]] KeyView bytes() const noexcept { return bytes_; }
  [[nodiscard]] bool is_zero() const noexcept { return *this == PublicKey(); }
  /// 44 characters of base64.
  [[nodiscard]] std::string to_base64() const;
  friend auto operator<=>(const PublicKey&, const PublicKey&) = default;

 private:
  std::array<std::byte, key_size> bytes_{};
};

/// Decodes exactly 44 characters of canonical base64 into `out`, in constant time for the characters' values. False,
/// and `out` zero, on any other text.
[[nodiscard]] bool key_from_base64(std::string_view text, KeySpan out) noexcept;
/// Decodes exactly 64 hexadecimal digits, as above.
[[nodiscard]] bool key_from_hex(std::string_view text, KeySpan out) noexcept;
/// Writes 44 base64 characters, no terminator, in constant time. `out` may be secret memory: wiping is the caller's.
void key_to_base64(KeyView key, std::span<char, 44> out) noexcept;
/// Writes 64 lower-case hexadecimal digits, no terminator, in constant time.
void key_to_hex(KeyView key, std::span<char, 64> out) noexcept;

/// Overwrites memory in a way that the compiler may not leave out.
void wipe(ByteSpan memory) noexcept;

/// Compares in time that depends on the sizes only. False when the sizes differ.
[[nodiscard]] bool equal_in_constant_time(ByteView a, ByteView b) noexcept;

}  // namespace culvert

template <>
struct std::hash<culvert::PublicKey> {
  std::size_t operator()(const culvert::PublicKey& key) const noexcept {
    std::size_t value;
    std::memcpy(&value, key.bytes().data(), sizeof value);
    return value;
  }
};
