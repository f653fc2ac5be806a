// Asking and answering, one packet at a time.
#include "culvert/bench/round_trip.hpp"

#include <sys/socket.h>

#include <optional>
#include <vector>

#include "culvert/bench/load_packet.hpp"
#include "pace.hpp"
#include "refused.hpp"

namespace culvert {

namespace {

// Of a passing state of the network: the packet counts as lost.
bool is_loss(int error) noexcept {
  return is_nothing_yet(error) || error == ENOBUFS || error == ENOMEM || error == ECONNREFUSED || error == EHOSTUNREACH;
}

// When the answer to this packet came; nothing if it did not in time.
std::optional<LoadTime> answered_at(int socket, const LoadPacket& question, LoadTime deadline, ByteSpan memory,
                                    const std::stop_token& stop) {
  while (!stop.stop_requested()) {
    const ssize_t size = ::recv(socket, memory.data(), memory.size(), 0);
    const int error = errno;
    const LoadTime now = LoadClock::now();
    if (size >= 0) {
      const auto answer = LoadPacket::parse(memory.first(static_cast<std::size_t>(size)));
      if (answer && answer->trial == question.trial && answer->sequence == question.sequence) return now;
    } else if (!is_loss(error)) {
      errno = error;
      throw_refused("cannot receive an answer");
    }
    if (now >= deadline) break;
  }
  return std::nullopt;
}

}  // namespace

RoundTrips ask_round_trips(int socket, const RoundTripAsking& wish, const std::stop_token& stop) {
  const PreciseTimers timers;
  RoundTrips outcome;
  std::vector<std::byte> packet(wish.payload), memory(wish.payload);
  LoadPacket question;
  question.trial = wish.trial;
  const LoadTime end = LoadClock::now() + wish.duration;
  for (LoadTime now = LoadClock::now(); now < end && !stop.stop_requested(); now = LoadClock::now()) {
    const LoadTime next = now + wish.interval;
    copy_bytes(bytes_of(question), packet);
    const LoadTime sent_at = LoadClock::now();
    if (::send(socket, packet.data(), packet.size(), 0) < 0 && !is_loss(errno)) {
      throw_refused("cannot send packets with " + std::to_string(wish.payload) + " bytes of UDP payload");
    }
    if (const auto came_at = answered_at(socket, question, sent_at + round_trip_max, memory, stop)) {
      outcome.times.push_back(*came_at - sent_at);
    } else if (!stop.stop_requested()) {
      ++outcome.lost;
    }
    question.sequence = question.sequence + 1;
    for (now = LoadClock::now(); now < next && !stop.stop_requested(); now = LoadClock::now()) sleep_until(next, now);
  }
  return outcome;
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
