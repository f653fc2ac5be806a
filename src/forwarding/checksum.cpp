// Sums bytes for the Internet checksum, as wide as the processor can.
#include "culvert/forwarding/checksum.hpp"

namespace culvert {

namespace {

template <class T>
T load_as_is(const std::byte* from) noexcept {
  T value;
  std::memcpy(&value, from, sizeof value);
  return value;
}

std::uint64_t sum_of_short(const std::byte* at, std::size_t size) noexcept {
  std::uint64_t sum = 0;
  for (; size >= 4; at += 4, size -= 4) sum += load_as_is<std::uint32_t>(at);
  if (size >= 2) {
    sum += load_as_is<std::uint16_t>(at);
    at += 2;
    size -= 2;
  }
  if (size != 0) {
    std::uint16_t word = 0;
    std::memcpy(&word, at, 1);
    sum += word;
  }
  return sum;
}

using Lanes [[gnu::vector_size(32)]] = std::uint64_t;

/// Adds the 32-bit halves of each lane apart, so that no carry is ever lost (RFC 1071, section 2 (C)).
[[gnu::always_inline]] inline std::uint64_t sum_of_long(const std::byte* at, std::size_t size) noexcept {
  constexpr Lanes low_half = {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff};
  Lanes low{};
  Lanes high{};
  for (; size >= 64; at += 64, size -= 64) {
    Lanes first;
    Lanes second;
    std::memcpy(&first, at, sizeof first);
    std::memcpy(&second, at + 32, sizeof second);
    low += (first & low_half) + (second & low_half);
    high += (first >> 32) + (second >> 32);
  }
  low += high;
  return low[0] + low[1] + low[2] + low[3] + sum_of_short(at, size);
}

#ifdef __x86_64__
[[gnu::target("avx2")]] std::uint64_t sum_with_avx2(const std::byte* at, std::size_t size) noexcept {
  return sum_of_long(at, size);
}
#endif

std::uint64_t sum_of(const std::byte* at, std::size_t size) noexcept {
  if (size < 64) return sum_of_short(at, size);
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx2")) return sum_with_avx2(at, size);
#endif
  return sum_of_long(at, size);
}

}  // namespace

void InternetSum::add(ByteView bytes) noexcept {
  const std::uint64_t sum = sum_of(bytes.data(), bytes.size());
  sum_ += (sum & 0xffffffff) + (sum >> 32);
}

}  // namespace culvert
