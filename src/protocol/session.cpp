// Sealing and opening transport messages, and the age rules of a pair of keys.
#include "culvert/protocol/session.hpp"

#include <algorithm>
#include <array>
#include <cassert>

#include "culvert/protocol/limits.hpp"

namespace culvert {

Session::Session(Keys keys, bool is_initiator, SessionIndex local, SessionIndex remote, Timestamp birth,
                 std::optional<Keys> second)
    : first_(std::move(keys)),
      local_(local),
      remote_(remote),
      birth_(birth),
      suite_(first_.sending.suite()),
      is_initiator_(is_initiator) {
  if (second) second_.emplace(std::move(*second));
}

bool Session::can_seal(Timestamp now, std::size_t count) const noexcept {
  return now - birth_ < limits::reject_after_time && sending_counter_ < limits::reject_after_messages &&
         count <= limits::reject_after_messages - sending_counter_;
}

bool Session::needs_rekey_on_send(Timestamp now) const noexcept {
  return sending_counter_ > limits::rekey_after_messages || (is_initiator_ && now - birth_ >= limits::rekey_after_time);
}

bool Session::needs_rekey_on_receive(Timestamp now) noexcept {
  if (!is_initiator_ || sent_last_minute_handshake_ || now - birth_ < limits::last_minute_time) return false;
  sent_last_minute_handshake_ = true;
  return true;
}

std::size_t Session::sealed_size(std::size_t frame, std::size_t mtu) noexcept {
  const std::size_t rounded =
      (frame + limits::padding_multiple - 1) / limits::padding_multiple * limits::padding_multiple;
  return limits::data_overhead + std::max(frame, std::min(rounded, mtu));
}

void Session::seal(ByteView frame, ByteSpan out) noexcept {
  seal_with(suite_, claim_counters(1), frame, out);
}

void Session::seal_with(CipherSuite suite, std::uint64_t counter, ByteView frame, ByteSpan out) noexcept {
  assert(out.size() >= limits::data_overhead + frame.size());
  assert(counter < limits::reject_after_messages);
  write_header(suite, counter, out);
  const ByteSpan sealed = out.subspan(sizeof(MessageDataHeader));
  const ByteSpan plaintext = sealed.first(sealed.size() - aead_tag_size);
  // A frame of full MTU has no padding and is sealed from where it lies; only a shorter one is moved to be padded.
  if (frame.size() != plaintext.size()) {
    copy_bytes(frame, plaintext);
    std::fill(plaintext.begin() + static_cast<std::ptrdiff_t>(frame.size()), plaintext.end(), std::byte{0});
    frame = plaintext;
  }
  ciphers_of(suite)->sending.seal(counter, frame, {}, sealed);
}

void Session::seal_with_room(CipherSuite suite, std::uint64_t counter, ByteSpan frame, ByteSpan out) noexcept {
  assert(out.size() >= limits::data_overhead + frame.size());
  assert(counter < limits::reject_after_messages);
  write_header(suite, counter, out);
  const ByteSpan sealed = out.subspan(sizeof(MessageDataHeader));
  const std::size_t padding = sealed.size() - aead_tag_size - frame.size();
  assert(padding < limits::padding_multiple);
  // What lies there is the payload of the next segment, perhaps.
  std::array<std::byte, limits::padding_multiple> kept;
  std::byte* const behind = frame.data() + frame.size();
  std::copy_n(behind, padding, kept.begin());
  std::fill_n(behind, padding, std::byte{0});
  ciphers_of(suite)->sending.seal(counter, ByteView(frame.data(), frame.size() + padding), {}, sealed);
  std::copy_n(kept.begin(), padding, behind);
}

void Session::write_header(CipherSuite suite, std::uint64_t counter, ByteSpan out) const noexcept {
  MessageDataHeader header{std::uint32_t(data_type_of(suite)), {}, {}};
  header.receiver = remote_.value();
  header.counter = counter;
  copy_bytes(bytes_of(header), out);
}

Verdict<ByteSpan> Session::open(const MessageData& message, Timestamp now) noexcept {
  Verdict<ByteSpan> opened = decrypt(message, now);
  if (opened && !expects(message.suite)) return DropReason::CipherMismatch;
  if (opened && !accepts(message.counter)) return DropReason::Replay;
  return opened;
}

Verdict<ByteSpan> Session::decrypt(const MessageData& message, Timestamp now) noexcept {
  Ciphers* const ciphers = ciphers_of(message.suite);
  if (!ciphers) return DropReason::CipherMismatch;
  if (now - birth_ >= limits::reject_after_time) return DropReason::SessionExpired;
  if (message.counter >= limits::reject_after_messages) return DropReason::CounterExhausted;
  if (!ciphers->receiving.open(message.counter, message.sealed, {})) return DropReason::DataAuthentication;
  return message.sealed.first(message.sealed.size() - aead_tag_size);
}

}  // namespace culvert
