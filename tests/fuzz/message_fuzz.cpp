// Any datagram through parse_message: what it takes has one of four lengths and keeps its bytes.
#include <algorithm>
#include <variant>
#include <vector>

#include "culvert/protocol/messages.hpp"
#include "require.hpp"

namespace culvert {
namespace {

template <class Wire>
void check(const Wire& message, ByteView datagram) {
  require(std::ranges::equal(bytes_of(message), datagram), "a handshake message is the datagram");
}

void check(const MessageData& message, ByteView datagram) {
  require(message.sealed.size() >= 16, "data holds a tag");
  require(message.sealed.data() == datagram.data() + sizeof(MessageDataHeader), "data stays where it is");
  require(message.sealed.size() + sizeof(MessageDataHeader) == datagram.size(), "data is the rest of the datagram");
}

void run(ByteSpan datagram) {
  const auto message = parse_message(datagram);
  if (message.has_error()) {
    const DropReason reason = message.error();
    require(reason == DropReason::MessageType || reason == DropReason::DatagramLength, "the reason is one of two");
    return;
  }
  std::visit([&](const auto& parsed) { check(parsed, datagram); }, *message);
}

}  // namespace
}  // namespace culvert

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  // A block of exactly this size, so that AddressSanitizer sees each byte read or written beyond.
  const auto* bytes = reinterpret_cast<const std::byte*>(data);
  std::vector<std::byte> datagram(bytes, bytes + size);
  culvert::run(datagram);
  return 0;
}
