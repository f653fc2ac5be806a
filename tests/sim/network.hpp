// The hostile network between the hosts: loss, duplication, reordering, corruption, delay, MTU, and NAT.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <queue>
#include <vector>

#include "sim/virtual_clock.hpp"
#include "support/recording_sinks.hpp"
#include "support/seeded_random.hpp"

namespace culvert::sim {

/// What a link does to datagrams. Probabilities are per datagram.
struct LinkFaults {
  double loss = 0;
  double duplication = 0;
  double corruption = 0;
  double reordering = 0;  ///< held back for up to reordering_delay
  Duration delay = std::chrono::milliseconds(10);
  Duration delay_jitter{0};
  Duration reordering_delay = std::chrono::seconds(1);
  std::size_t mtu = 1500;  ///< of IP packets; larger ones vanish, as behind a firewall that eats ICMP
};

/// A datagram on the wire, as it can be seen at the receiver.
struct Flight {
  Timestamp arrival;
  std::uint64_t number = 0;  ///< order of sending, which decides between equal arrivals
  Endpoint from;
  Endpoint to;
  std::uint8_t traffic_class = 0;
  Bytes bytes;
};

/// A dice for scenarios, apart from the engines' randomness so that a change in one does not shift the other.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) {}
  /// Uniform in [0, bound).
  std::uint64_t below(std::uint64_t bound) {
    return (std::uint64_t{random_.next_u32()} << 32 | random_.next_u32()) % bound;
  }
  /// Uniform in [low, high].
  std::uint64_t between(std::uint64_t low, std::uint64_t high) { return low + below(high - low + 1); }
  Duration between(Duration low, Duration high) {
    return low + Duration(static_cast<Duration::rep>(below(static_cast<std::uint64_t>((high - low).count()) + 1)));
  }
  bool chance(double probability) { return random_.next_u32() < probability * 4294967296.0; }

 private:
  SeededRandom random_;
};

/// Rewrites the source of what leaves to a port on its public address, and back. Filters by mapping only.
class Nat {
 public:
  Nat(Address public_address, Duration idle_timeout) : address_(public_address), idle_timeout_(idle_timeout) {}

  Endpoint outward(const Endpoint& inside, Timestamp now) {
    auto found = mappings_.find(inside);
    if (found == mappings_.end() || now - found->second.used > idle_timeout_) {
      found = mappings_.insert_or_assign(inside, Mapping{next_port_++, now}).first;
    }
    found->second.used = now;
    return {address_, found->second.port, 0};
  }

  /// Where a datagram to `outside` goes, if anywhere.
  std::optional<Endpoint> inward(const Endpoint& outside, Timestamp now) {
    for (auto& [inside, mapping] : mappings_) {
      if (mapping.port == outside.port && now - mapping.used <= idle_timeout_) {
        mapping.used = now;
        return inside;
      }
    }
    return std::nullopt;
  }

  /// Forgets everything, as a router that was restarted: new ports from now on.
  void rebind() { mappings_.clear(); }

  [[nodiscard]] const Address& address() const noexcept { return address_; }

 private:
  struct Mapping {
    std::uint16_t port;
    Timestamp used;
  };
  Address address_;
  Duration idle_timeout_;
  std::uint16_t next_port_ = 20000;
  std::map<Endpoint, Mapping> mappings_;
};

/// Everything between the hosts. One set of faults for all links, changeable at any time.
class Network {
 public:
  explicit Network(std::uint64_t seed) : dice_(seed) {}

  LinkFaults faults;

  /// `source` is what the network sees: after NAT.
  void send(const Endpoint& source, const Endpoint& to, std::uint8_t traffic_class, Bytes bytes, Timestamp now) {
    const std::size_t headers = to.address.is_v4() ? 28 : 48;
    if (bytes.size() + headers > faults.mtu || dice_.chance(faults.loss)) return;
    if (dice_.chance(faults.duplication)) launch(source, to, traffic_class, bytes, now);
    launch(source, to, traffic_class, std::move(bytes), now);
  }

  [[nodiscard]] std::optional<Timestamp> next_arrival() const {
    if (flights_.empty()) return std::nullopt;
    return flights_.top().arrival;
  }

  Flight take_next() {
    Flight flight = flights_.top();
    flights_.pop();
    return flight;
  }

  [[nodiscard]] std::size_t in_flight() const { return flights_.size(); }

 private:
  struct Later {
    bool operator()(const Flight& a, const Flight& b) const {
      return a.arrival != b.arrival ? a.arrival > b.arrival : a.number > b.number;
    }
  };

  void launch(const Endpoint& from, const Endpoint& to, std::uint8_t traffic_class, Bytes bytes, Timestamp now) {
    Duration delay = faults.delay + dice_.between(Duration(0), faults.delay_jitter);
    if (dice_.chance(faults.reordering)) delay += dice_.between(Duration(0), faults.reordering_delay);
    if (dice_.chance(faults.corruption)) corrupt(bytes);
    flights_.push({now + delay, number_++, from, to, traffic_class, std::move(bytes)});
  }

  void corrupt(Bytes& bytes) {
    if (dice_.chance(0.2)) {
      bytes.resize(dice_.below(bytes.size() + 1));
    } else if (dice_.chance(0.2)) {
      bytes.resize(bytes.size() + dice_.between(1, 64));
    } else {
      const std::uint64_t flips = dice_.between(1, 4);
      for (std::uint64_t i = 0; i < flips; ++i) bytes[dice_.below(bytes.size())] ^= std::byte(1U << dice_.below(8));
    }
  }

  Dice dice_;
  std::uint64_t number_ = 0;
  std::priority_queue<Flight, std::vector<Flight>, Later> flights_;
};

}  // namespace culvert::sim
