// The first envelope of a session: what its sender is and can do (docs/protocol.md).
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "culvert/base/bytes.hpp"
#include "culvert/base/endian.hpp"
#include "culvert/base/result.hpp"
#include "culvert/crypto/cipher_suite.hpp"

namespace culvert {

/// What a device carries.
enum class DeviceMode : std::uint8_t {
  Routed = 0,    ///< IP packets (tun)
  Switched = 1,  ///< Ethernet frames (tap)
};

/// Kinds of envelopes that the sender understands. Bits that are not known here mean nothing.
enum class Feature : std::uint32_t {
  Ethernet = 1u << 0,
  Fragments = 1u << 1,
  PathMtuProbes = 1u << 2,
  Bench = 1u << 3,
};

/// A set of features, as on the wire.
class Features {
 public:
  constexpr Features() = default;
  constexpr explicit Features(std::uint32_t bits) noexcept : bits_(bits) {}
  constexpr Features(std::initializer_list<Feature> all) noexcept {
    for (const Feature feature : all) bits_ |= static_cast<std::uint32_t>(feature);
  }
  [[nodiscard]] constexpr bool has(Feature feature) const noexcept {
    return (bits_ & static_cast<std::uint32_t>(feature)) != 0;
  }
  [[nodiscard]] constexpr std::uint32_t bits() const noexcept { return bits_; }
  friend constexpr bool operator==(Features, Features) = default;

 private:
  std::uint32_t bits_ = 0;
};

/// A set of cipher suites, as on the wire.
class SuiteSet {
 public:
  constexpr SuiteSet() = default;
  constexpr explicit SuiteSet(std::uint16_t bits) noexcept : bits_(bits) {}
  constexpr SuiteSet(std::initializer_list<CipherSuite> all) noexcept {
    for (const CipherSuite suite : all) bits_ = static_cast<std::uint16_t>(bits_ | bit_of(suite));
  }
  [[nodiscard]] constexpr bool has(CipherSuite suite) const noexcept { return (bits_ & bit_of(suite)) != 0; }
  [[nodiscard]] constexpr bool empty() const noexcept { return bits_ == 0; }
  [[nodiscard]] constexpr std::uint16_t bits() const noexcept { return bits_; }
  friend constexpr bool operator==(SuiteSet, SuiteSet) = default;

 private:
  static constexpr std::uint16_t bit_of(CipherSuite suite) noexcept {
    switch (suite) {
      case CipherSuite::ChaCha20Poly1305:
        return 1u << 0;
      case CipherSuite::Aes256Gcm:
        return 1u << 1;
      case CipherSuite::None:
        break;
    }
    return 1u << 2;
  }
  std::uint16_t bits_ = 0;
};

/// What IPv6 demands of every link leaves this to UDP (RFC 8200, section 5): nobody may accept less.
inline constexpr std::uint16_t largest_datagram_min = 1280 - 40 - 8;
/// UDP over IPv4 carries no more.
inline constexpr std::uint16_t largest_datagram_max = 65535 - 20 - 8;

struct HelloMessage {
  /// The sender has heard a hello of ours under this session; this one wants no answer.
  bool answers = false;
  DeviceMode mode = DeviceMode::Routed;
  SuiteSet suites{CipherSuite::ChaCha20Poly1305};  ///< under which the sender opens data of this session
  Features features;
  std::uint16_t largest_datagram = largest_datagram_max;  ///< that the sender accepts: bytes of UDP payload
  friend bool operator==(const HelloMessage&, const HelloMessage&) = default;
};

/// The body of the envelope as it lies on the wire. Later versions keep these fields and append.
struct WireHello {
  std::byte version;
  std::byte flags;  ///< bit 0: answers
  std::byte mode;
  std::byte reserved;
  Le16 suites;
  Le16 largest_datagram;
  Le32 features;
};
static_assert(sizeof(WireHello) == 12 && alignof(WireHello) == 1);

inline constexpr std::uint8_t hello_version = 1;
/// A whole plaintext: envelope header, body, and padding to a multiple of limits::padding_multiple.
inline constexpr std::size_t hello_size = 16;

/// Reads the body of an envelope. BadEnvelope when it is too short, of version 0, of an unknown mode, without any
/// suite, or accepts less than largest_datagram_min. A later version, what follows the known fields, and bits that are
/// not known are no errors.
[[nodiscard]] Verdict<HelloMessage> parse_hello(ByteView body) noexcept;

/// The plaintext that says `hello`.
[[nodiscard]] std::array<std::byte, hello_size> build_hello(const HelloMessage& hello) noexcept;

}  // namespace culvert
