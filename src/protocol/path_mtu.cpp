// The search of RFC 8899, section 5, with probes of its own making.
#include "culvert/protocol/path_mtu.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace culvert {

void PathMtu::start(std::size_t base, std::size_t ceiling) noexcept {
  ceiling = std::max(base, ceiling);
  if (is_on_ && base == base_ && ceiling == ceiling_) return;
  const bool is_known = is_on_ && base == base_ && (is_proved_ || size_ < ceiling_);
  is_on_ = true;
  base_ = base;
  ceiling_ = ceiling;
  if (!is_known) return begin_anew();
  size_ = std::min(size_, ceiling_);
  refuted_ = ceiling_ + 1;
  is_ceiling_open_ = true;
}

void PathMtu::stop() noexcept {
  is_on_ = false;
  tries_ = 0;
  deadline_.reset();
}

void PathMtu::begin_anew() noexcept {
  size_ = ceiling_;
  refuted_ = ceiling_ + 1;
  is_proved_ = false;
  is_ceiling_open_ = true;
  tries_ = 0;
  not_before_ = {};
  // What was sent along another way proves nothing of this one.
  sent_.fill({});
  deadline_.reset();
}

PathMtu::State PathMtu::state() const noexcept {
  if (!is_on_) return State::Off;
  if (is_searching()) return State::Searching;
  return is_proved_ ? State::Found : State::Assumed;
}

void PathMtu::data_sent(std::size_t size, Timestamp now) noexcept {
  if (!is_on_) return;
  last_data_ = now;
  if (size > base_) has_sent_large_ = true;
  if (!is_step_under_way()) schedule(now);
}

bool PathMtu::acknowledged(std::uint32_t id, std::size_t size, Timestamp now) noexcept {
  const auto found = std::ranges::find_if(sent_, [&](const Sent& sent) { return sent.size != 0 && sent.id == id; });
  if (!is_on_ || found == sent_.end() || found->size != size) return false;
  found->size = 0;
  if (size == ceiling_) is_ceiling_open_ = false;
  if (size >= size_) {
    size_ = size;
    refuted_ = std::max(refuted_, size_ + 1);
    is_proved_ = true;
    has_sent_large_ = false;
    proved_at_ = now;
    raise_at_ = now + limits::path_raise_interval;
  }
  if (is_step_under_way() && size >= candidate_) {
    tries_ = 0;
    schedule(now);
  }
  return true;
}

/// Sets the deadline for the next step; none when there is nothing to find out.
void PathMtu::schedule(Timestamp now) noexcept {
  deadline_.reset();
  const auto wake_by = [this](Timestamp when) {
    if (!deadline_ || when < *deadline_) deadline_ = when;
  };
  if (!is_proved_ || is_searching()) wake_by(std::max(now, not_before_));
  if (is_proved_ && has_sent_large_) wake_by(proved_at_ + limits::path_confirm_interval);
  if (is_proved_ && size_ < ceiling_) wake_by(raise_at_);
}

bool PathMtu::begin_step(Timestamp now) noexcept {
  if (now - last_data_ > limits::path_idle_time || now < not_before_) return false;
  const bool is_proof_old = has_sent_large_ && now - proved_at_ >= limits::path_confirm_interval;
  if (!is_proved_ || is_proof_old) {
    candidate_ = size_;
    return true;
  }
  if (size_ < ceiling_ && now >= raise_at_) {
    raise_at_ = now + limits::path_raise_interval;
    refuted_ = ceiling_ + 1;
    is_ceiling_open_ = true;
    asks_for_route_ = true;
  }
  if (!is_searching()) return false;
  candidate_ = is_ceiling_open_ ? ceiling_ : size_ + (refuted_ - size_) / 2;
  return true;
}

void PathMtu::give_up_step(Timestamp now) noexcept {
  tries_ = 0;
  if (candidate_ > size_) {
    is_ceiling_open_ = false;
    refuted_ = candidate_;
    return;
  }
  // The present size: a black hole (RFC 8899, section 4.3), or nothing goes through at all.
  if (size_ == base_) not_before_ = now + limits::path_retry_interval;
  is_proved_ = false;
  size_ = base_;
  refuted_ = ceiling_ + 1;
  is_ceiling_open_ = true;
  has_sent_large_ = false;
  asks_for_route_ = true;
}

std::optional<PathMtu::Probe> PathMtu::expire(Timestamp now) noexcept {
  if (!deadline_ || now < *deadline_) return std::nullopt;
  deadline_.reset();
  if (tries_ == limits::path_probes_max) {
    give_up_step(now);
    schedule(now);
    if (!deadline_ || now < *deadline_) return std::nullopt;
    deadline_.reset();
  }
  // Without a deadline the next data wake it.
  if (!is_step_under_way() && !begin_step(now)) return std::nullopt;
  ++tries_;
  deadline_ = now + limits::path_probe_interval;
  const Probe probe{next_id_++, candidate_};
  sent_[probe.id % sent_.size()] = {probe.id, probe.size};
  return probe;
}

bool PathMtu::take_route_question() noexcept {
  return std::exchange(asks_for_route_, false);
}

std::string_view to_string(PathMtu::State state) noexcept {
  switch (state) {
    case PathMtu::State::Off:
      return "off";
    case PathMtu::State::Assumed:
      return "assumed";
    case PathMtu::State::Searching:
      return "searching";
    case PathMtu::State::Found:
      return "found";
  }
  return "unknown";
}

std::optional<std::uint32_t> parse_probe(ByteView body) noexcept {
  if (body.size() < path_probe_size_min - envelope_header_size) return std::nullopt;
  return load<Le32>(body.data());
}

void write_probe(ByteSpan plaintext, std::uint32_t id) noexcept {
  assert(plaintext.size() >= path_probe_size_min);
  std::ranges::fill(plaintext, std::byte{0});
  write_envelope_header(plaintext.data(), EnvelopeKind::Probe, 0);
  store<Le32>(&plaintext[envelope_header_size], id);
}

std::optional<ProbeAck> parse_probe_ack(ByteView body) noexcept {
  if (body.size() < sizeof(ProbeAck)) return std::nullopt;
  return load<ProbeAck>(body.data());
}

std::array<std::byte, path_ack_size> build_probe_ack(const ProbeAck& ack) noexcept {
  std::array<std::byte, path_ack_size> plaintext{};
  write_envelope_header(plaintext.data(), EnvelopeKind::ProbeAck, 0);
  copy_bytes(bytes_of(ack), ByteSpan(plaintext).subspan(envelope_header_size));
  return plaintext;
}

bool ProbeAckLimit::allow(Timestamp now) noexcept {
  const Timestamp full_at = std::max(full_at_, now) + refill_time;
  if (full_at - now > burst * refill_time) return false;
  full_at_ = full_at;
  return true;
}

}  // namespace culvert
