// mac1, mac2 and the cookie reply, both sides.
#include "culvert/protocol/cookie.hpp"

#include <cassert>
#include <string_view>

#include "culvert/base/endian.hpp"
#include "culvert/crypto/aead.hpp"
#include "culvert/crypto/hash.hpp"
#include "culvert/protocol/limits.hpp"

namespace culvert {

namespace {

// Views, not arrays: the terminating zero is no part of the labels (WireGuard paper, section 5.4).
constexpr std::string_view mac1_label = "mac1----";
constexpr std::string_view cookie_label = "cookie--";

Digest labelled_key(std::string_view label, const PublicKey& key) noexcept {
  return blake2s({bytes_of(label), key.bytes()});
}

struct MacView {
  ByteView covered_by_mac1;
  ByteView mac1;
  ByteView covered_by_mac2;
  ByteView mac2;
};

MacView split(ByteView message) noexcept {
  assert(message.size() >= sizeof(MessageMacs));
  const std::size_t end1 = message.size() - sizeof(Mac);
  const std::size_t begin1 = end1 - sizeof(Mac);
  return {message.first(begin1), message.subspan(begin1, sizeof(Mac)), message.first(end1), message.subspan(end1)};
}

}  // namespace

CookieChecker::CookieChecker(const PublicKey& own)
    : mac1_key_(labelled_key(mac1_label, own)), sealing_key_(labelled_key(cookie_label, own)) {}

bool CookieChecker::has_valid_mac1(ByteView message) const noexcept {
  const MacView macs = split(message);
  return equal_in_constant_time(keyed_blake2s(mac1_key_, {macs.covered_by_mac1}), macs.mac1);
}

bool CookieChecker::has_valid_mac2(ByteView message, const Endpoint& source, Timestamp now) const noexcept {
  if (!secret_birth_ || now - *secret_birth_ >= limits::cookie_secret_max_age) return false;
  const MacView macs = split(message);
  return equal_in_constant_time(keyed_blake2s(cookie_for(source), {macs.covered_by_mac2}), macs.mac2);
}

void CookieChecker::create_reply(MessageCookieReply& reply, ByteView message, SessionIndex receiver,
                                 const Endpoint& source, Timestamp now, Random& random) noexcept {
  if (!secret_birth_ || now - *secret_birth_ >= limits::cookie_secret_max_age) {
    random.fill(secret_.writable_bytes());
    secret_birth_ = now;
  }
  reply = MessageCookieReply{};
  reply.receiver = receiver.value();
  random.fill(reply.nonce);
  xaead_seal(sealing_key_, reply.nonce, cookie_for(source), split(message).mac1, reply.sealed_cookie);
}

Mac CookieChecker::cookie_for(const Endpoint& source) const noexcept {
  const Be16 port = source.port;
  return keyed_blake2s(secret_.bytes(), {source.address.bytes(), bytes_of(port)});
}

CookieHolder::CookieHolder(const PublicKey& peer)
    : mac1_key_(labelled_key(mac1_label, peer)), opening_key_(labelled_key(cookie_label, peer)) {}

void CookieHolder::add_macs(ByteSpan message, Timestamp now) noexcept {
  const MacView macs = split(message);
  const ByteSpan out = message.last(sizeof(MessageMacs));
  last_mac1_ = keyed_blake2s(mac1_key_, {macs.covered_by_mac1});
  copy_bytes(*last_mac1_, out);
  const bool has_cookie = cookie_birth_ && now - *cookie_birth_ < limits::cookie_max_age;
  copy_bytes(has_cookie ? keyed_blake2s(cookie_, {macs.covered_by_mac2}) : Mac{}, out.subspan(sizeof(Mac)));
}

Verdict<void> CookieHolder::consume_reply(const MessageCookieReply& reply, Timestamp now) noexcept {
  if (!last_mac1_) return DropReason::UnexpectedResponse;
  Mac cookie;
  if (!xaead_open(opening_key_, reply.nonce, reply.sealed_cookie, *last_mac1_, cookie)) {
    return DropReason::InvalidCookie;
  }
  cookie_ = cookie;
  cookie_birth_ = now;
  last_mac1_.reset();
  return {};
}

void CookieHolder::clear() noexcept {
  wipe(cookie_);
  cookie_birth_.reset();
  last_mac1_.reset();
}

}  // namespace culvert
