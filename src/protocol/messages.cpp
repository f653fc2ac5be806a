// Tells messages apart by type and length.
#include "culvert/protocol/messages.hpp"

#include "culvert/protocol/limits.hpp"

namespace culvert {

namespace {

template <class Wire>
Verdict<Message> parse_fixed(ByteView datagram) noexcept {
  if (datagram.size() != sizeof(Wire)) return DropReason::DatagramLength;
  Wire message;
  std::memcpy(&message, datagram.data(), sizeof message);
  return Message(message);
}

Verdict<Message> parse_data(ByteSpan datagram, CipherSuite suite) noexcept {
  if (datagram.size() < limits::data_overhead) return DropReason::DatagramLength;
  MessageDataHeader header;
  std::memcpy(&header, datagram.data(), sizeof header);
  return Message(MessageData{SessionIndex(header.receiver), header.counter, datagram.subspan(sizeof header), suite});
}

}  // namespace

Verdict<Message> parse_message(ByteSpan datagram) noexcept {
  if (datagram.size() < sizeof(WireMessageType)) return DropReason::DatagramLength;
  switch (MessageType{std::uint32_t{load<WireMessageType>(datagram.data())}}) {
    case MessageType::Initiation:
      return parse_fixed<MessageInitiation>(datagram);
    case MessageType::Response:
      return parse_fixed<MessageResponse>(datagram);
    case MessageType::CookieReply:
      return parse_fixed<MessageCookieReply>(datagram);
    case MessageType::Data:
      return parse_data(datagram, CipherSuite::ChaCha20Poly1305);
    case MessageType::DataAes256Gcm:
      return parse_data(datagram, CipherSuite::Aes256Gcm);
    case MessageType::DataInTheClear:
      return parse_data(datagram, CipherSuite::None);
  }
  return DropReason::MessageType;
}

}  // namespace culvert
