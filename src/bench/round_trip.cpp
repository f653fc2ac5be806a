// Asking at fixed intervals, and answering.
#include "culvert/bench/round_trip.hpp"

#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "culvert/bench/load_packet.hpp"
#include "pace.hpp"
#include "refused.hpp"

namespace culvert {

namespace {

using namespace std::chrono_literals;

/// After the last question: answers are taken to be lost when none has come for so long, or for so many times as long
/// as the slowest took. Until one has come there is no telling.
constexpr std::chrono::nanoseconds quiet = 50ms;
constexpr int quiet_factor = 4;
/// Beside load, at the least.
constexpr double load_packets_per_question = 10;

// Of a passing state of the network: the packet counts as lost.
bool is_loss(int error) noexcept {
  return is_nothing_yet(error) || error == ENOBUFS || error == ENOMEM || error == ECONNREFUSED || error == EHOSTUNREACH;
}

/// Questions, and which of them were answered.
class Questions {
 public:
  Questions(int socket, const RoundTripAsking& wish)
      : socket_(socket), wish_(wish), packet_(wish.payload), memory_(wish.payload) {
    const auto count = static_cast<std::size_t>(wish.duration / wish.interval + 1);
    sent_at_.reserve(count);
    times_.reserve(count);
  }

  void ask() {
    LoadPacket question;
    question.trial = wish_.trial;
    question.sequence = static_cast<std::uint32_t>(sent_at_.size());
    copy_bytes(bytes_of(question), packet_);
    last_asked_at_ = LoadClock::now();
    sent_at_.emplace_back(last_asked_at_);
    if (::send(socket_, packet_.data(), packet_.size(), MSG_DONTWAIT) < 0 && !is_loss(errno)) {
      throw_refused("cannot send packets with " + std::to_string(wish_.payload) + " bytes of UDP payload");
    }
  }

  /// Takes what is there, and what comes until then. Returns earlier when it has taken something, and after load_wait.
  void take_answers(LoadTime until) {
    const LoadTime now = LoadClock::now();
    if (take_all() || now >= until) return;
    const timespec time{.tv_sec = 0, .tv_nsec = std::min<std::chrono::nanoseconds>(until - now, load_wait).count()};
    pollfd entry{.fd = socket_, .events = POLLIN, .revents = 0};
    ::ppoll(&entry, 1, &time, nullptr);
    take_all();
  }

  [[nodiscard]] bool is_complete() const noexcept { return times_.size() == sent_at_.size(); }
  /// When answers that are missing are lost.
  [[nodiscard]] LoadTime deadline() const noexcept {
    if (times_.empty()) return last_asked_at_ + round_trip_max;
    return last_asked_at_ + std::clamp<std::chrono::nanoseconds>(slowest_ * quiet_factor, quiet, round_trip_max);
  }

  RoundTrips outcome(bool was_stopped) && {
    const std::uint64_t missing = sent_at_.size() - times_.size();
    return {.times = std::move(times_), .lost = was_stopped ? 0 : missing};
  }

 private:
  // Whether there was something.
  bool take_all() {
    for (bool has_come = false;; has_come = true) {
      const ssize_t size = ::recv(socket_, memory_.data(), memory_.size(), MSG_DONTWAIT);
      if (size < 0 && !is_loss(errno)) throw_refused("cannot receive an answer");
      if (size < 0) return has_come;
      take(ByteView(memory_).first(static_cast<std::size_t>(size)), LoadClock::now());
    }
  }
  void take(ByteView packet, LoadTime now) {
    const auto answer = LoadPacket::parse(packet);
    if (!answer || answer->trial != wish_.trial || answer->sequence >= sent_at_.size()) return;
    std::optional<LoadTime>& sent_at = sent_at_[answer->sequence];
    if (!sent_at || now - *sent_at > round_trip_max) return;
    times_.push_back(now - *sent_at);
    slowest_ = std::max(slowest_, times_.back());
    sent_at.reset();
  }

  int socket_;
  const RoundTripAsking& wish_;
  std::vector<std::byte> packet_, memory_;
  std::vector<std::optional<LoadTime>> sent_at_;  ///< nothing: answered
  LoadTime last_asked_at_;
  std::vector<std::chrono::nanoseconds> times_;
  std::chrono::nanoseconds slowest_{0};
};

}  // namespace

std::chrono::nanoseconds interval_of(const RoundTripTrial& trial) noexcept {
  if (!trial.load || trial.load->rate <= 0) return trial.interval;
  const std::chrono::duration<double> least(load_packets_per_question / trial.load->rate);
  return std::max<std::chrono::nanoseconds>(trial.interval, std::chrono::ceil<std::chrono::nanoseconds>(least));
}

UdpTrial load_beside(const RoundTripTrial& trial, std::chrono::nanoseconds interval) noexcept {
  UdpTrial load = *trial.load;
  if (load.rate > 0) load.rate -= 1 / std::chrono::duration<double>(interval).count();
  return load;
}

RoundTrips ask_round_trips(int socket, const RoundTripAsking& wish, const std::stop_token& stop) {
  const PreciseTimers timers;
  Questions questions(socket, wish);
  LoadTime now = LoadClock::now();
  const LoadTime end = now + wish.duration;
  for (LoadTime due = now; due < end && !stop.stop_requested();) {
    questions.ask();
    // What a thread that was kept from running did not ask in time it does not ask at all.
    due = std::max(due + wish.interval, LoadClock::now());
    do {
      questions.take_answers(std::min(due, end));
      now = LoadClock::now();
    } while (now < std::min(due, end) && !stop.stop_requested());
  }
  while (!questions.is_complete() && LoadClock::now() < questions.deadline() && !stop.stop_requested()) {
    questions.take_answers(questions.deadline());
  }
  return std::move(questions).outcome(stop.stop_requested());
}

void answer_round_trips(int socket, std::uint32_t trial, const std::stop_token& stop, Traffic* traffic) {
  std::vector<std::byte> memory(1 << 16);
  while (!stop.stop_requested()) {
    sockaddr_storage from{};
    socklen_t from_size = sizeof from;
    const auto address = reinterpret_cast<sockaddr*>(&from);
    const ssize_t size = ::recvfrom(socket, memory.data(), memory.size(), 0, address, &from_size);
    if (size < 0) {
      if (!is_loss(errno)) throw_refused("cannot receive a question");
      continue;
    }
    const ByteView packet = ByteView(memory).first(static_cast<std::size_t>(size));
    if (traffic) traffic->read(1, packet.size());
    const auto question = LoadPacket::parse(packet);
    if (!question || question->trial != trial) continue;
    if (::sendto(socket, packet.data(), packet.size(), 0, address, from_size) >= 0) {
      if (traffic) traffic->sent(1, packet.size());
    } else if (!is_loss(errno)) {
      throw_refused("cannot send an answer");
    }
  }
}

}  // namespace culvert
