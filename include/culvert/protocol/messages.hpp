// The messages as they lie on the wire: WireGuard's four (paper, section 5.4) and data under other ciphers.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <variant>

#include "culvert/base/bytes.hpp"
#include "culvert/base/endian.hpp"
#include "culvert/base/result.hpp"
#include "culvert/base/strong_id.hpp"
#include "culvert/crypto/cipher_suite.hpp"
#include "culvert/crypto/hash.hpp"

namespace culvert {

/// The random 32-bit number under which one side knows a handshake or session; the other side puts it into each
/// message.
using SessionIndex = StrongId<struct SessionIndexTag, std::uint32_t>;

/// A stock peer knows 1 to 4 and drops the others without a word. They are far from where WireGuard may grow.
enum class MessageType : std::uint32_t {
  Initiation = 1,
  Response = 2,
  CookieReply = 3,
  Data = 4,
  DataAes256Gcm = 0xc1,
  DataInTheClear = 0xc2,
};

/// Under which type a session of this suite sends data. All are laid out the same way.
[[nodiscard]] constexpr MessageType data_type_of(CipherSuite suite) noexcept {
  switch (suite) {
    case CipherSuite::Aes256Gcm:
      return MessageType::DataAes256Gcm;
    case CipherSuite::None:
      return MessageType::DataInTheClear;
    case CipherSuite::ChaCha20Poly1305:
      break;
  }
  return MessageType::Data;
}

/// The type byte and three reserved zero bytes, read as one little-endian number.
using WireMessageType = Le32;

using WireKey = std::array<std::byte, 32>;
using SealedKey = std::array<std::byte, 32 + 16>;
using SealedTimestamp = std::array<std::byte, 12 + 16>;
using SealedNothing = std::array<std::byte, 16>;
using SealedCookie = std::array<std::byte, 16 + 16>;

/// What ends both handshake messages: mac1 over all before it, mac2 over all before it including mac1.
struct MessageMacs {
  Mac mac1;
  Mac mac2;
};

struct MessageInitiation {
  WireMessageType type{std::uint32_t(MessageType::Initiation)};
  Le32 sender;
  WireKey ephemeral;
  SealedKey sealed_static;
  SealedTimestamp sealed_timestamp;
  MessageMacs macs;
};
static_assert(sizeof(MessageInitiation) == 148 && alignof(MessageInitiation) == 1);

struct MessageResponse {
  WireMessageType type{std::uint32_t(MessageType::Response)};
  Le32 sender;
  Le32 receiver;
  WireKey ephemeral;
  SealedNothing sealed_nothing;
  MessageMacs macs;
};
static_assert(sizeof(MessageResponse) == 92 && alignof(MessageResponse) == 1);

struct MessageCookieReply {
  WireMessageType type{std::uint32_t(MessageType::CookieReply)};
  Le32 receiver;
  std::array<std::byte, 24> nonce;
  SealedCookie sealed_cookie;
};
static_assert(sizeof(MessageCookieReply) == 64 && alignof(MessageCookieReply) == 1);

/// Followed by the sealed frame.
struct MessageDataHeader {
  WireMessageType type{std::uint32_t(MessageType::Data)};
  Le32 receiver;
  Le64 counter;
};
static_assert(sizeof(MessageDataHeader) == 16 && alignof(MessageDataHeader) == 1);

/// A transport message in the memory it arrived in.
struct MessageData {
  SessionIndex receiver;
  std::uint64_t counter = 0;
  ByteSpan sealed;                                    ///< ciphertext and tag, at least 16 bytes
  CipherSuite suite = CipherSuite::ChaCha20Poly1305;  ///< by the message's type
};

using Message = std::variant<MessageInitiation, MessageResponse, MessageCookieReply, MessageData>;

/// Tells which message `datagram` is by its type and exact length; checks nothing else. Handshake messages are copied
/// out, data stays where it is. MessageType for an unknown type or non-zero reserved bytes, DatagramLength for a length
/// that does not fit.
[[nodiscard]] Verdict<Message> parse_message(ByteSpan datagram) noexcept;

}  // namespace culvert
