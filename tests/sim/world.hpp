// A world of engines on a hostile network under a virtual clock, and what must never happen in it.
#pragma once

#include <array>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "culvert/crypto/key_exchange.hpp"
#include "culvert/engine/engine.hpp"
#include "sim/network.hpp"
#include "sim/rules.hpp"

namespace culvert::sim {

/// A seed from the environment (CULVERT_SEED) or `standard`.
std::uint64_t seed_or(std::uint64_t standard);
/// Whether CULVERT_SEED asks for one seed only.
bool is_single_seed();

using HostId = std::size_t;

struct PeerConfig {
  HostId other;
  std::optional<Endpoint> endpoint;
  std::chrono::seconds keepalive{0};
  std::byte psk{0};  ///< fills the key; 0: none
};

/// One machine. Public: tests look at everything, and may change what a person at the machine could change.
struct Host {
  Host(HostId id, std::uint64_t seed);

  HostId id;
  SeededRandom random;
  SecretKey secret;
  PublicKey public_key;
  Address inner_v4;
  Address inner_v6;
  Endpoint v4;  ///< its own addresses, behind `nat` if there is one
  Endpoint v6;
  Nat* nat = nullptr;
  Duration wall_offset{0};
  std::size_t mtu = limits::default_mtu;
  CipherChoice cipher;  ///< from the next restart() on
  std::vector<PeerConfig> peers;

  std::unique_ptr<Engine> engine;
  RecordingDatagramSink out;
  RecordingFrameSink frames;
  Rules rules;

  // What happened so far.
  std::map<std::size_t, std::uint64_t> sent_by_type;  ///< by message type
  std::uint64_t keepalives_sent = 0;
  std::uint64_t sent_bytes = 0;
  std::uint64_t frames_received = 0;
  std::map<EventKind, std::uint64_t> events;
  std::vector<Timestamp> initiations;  ///< when each left

  [[nodiscard]] const Peer& peer(const Host& other) const { return *engine->find_peer(other.public_key); }
};

class World {
 public:
  explicit World(std::uint64_t seed);

  // Setting up.

  HostId add_host();
  Host& operator[](HostId id) { return hosts_[id]; }
  [[nodiscard]] std::size_t host_count() const noexcept { return hosts_.size(); }
  /// Each becomes a peer of the other. `a` knows where b is; b knows where a is unless a is behind a NAT.
  void introduce(HostId a, HostId b, std::chrono::seconds keepalive_of_a = std::chrono::seconds(0));
  /// The engine starts anew, as after a crash: only configuration and, if asked, the last timestamp survive.
  void restart(HostId id, bool remembers_timestamp = true);
  /// Puts `id` behind a new NAT with an address of its own.
  Nat& put_behind_nat(HostId id, Duration idle_timeout);
  /// `id` gets new addresses; packets to the old ones go nowhere.
  void move(HostId id);
  void set_preshared_key(HostId a, HostId b, std::byte fill);

  // Acting.

  /// A program on `from` sends `to` a packet of `size` bytes. Returns its number.
  std::uint64_t send(HostId from, HostId to, std::size_t size = 200);
  [[nodiscard]] bool was_delivered(std::uint64_t number) const { return sent_frames_.at(number).was_delivered; }
  [[nodiscard]] std::uint64_t frames_sent() const noexcept { return sent_frames_.size(); }
  [[nodiscard]] std::uint64_t frames_delivered() const noexcept { return frames_delivered_; }
  /// `from`, which means ill, seals `packet` for `to` past its own checks: it must not be delivered. Nothing happens
  /// without a session.
  void send_unchecked(HostId from, HostId to, ByteView packet);
  /// An attacker's datagram, with any source address, arrives at once.
  void inject(const Endpoint& source, HostId to, Bytes datagram);
  void at(Timestamp time, std::function<void()> action) { actions_.emplace(time, std::move(action)); }
  void run_until(Timestamp end);
  void run_for(Duration duration) { run_until(clock.time() + duration); }
  /// All stand still, as in suspend or on a machine that has no processor time: nothing is done at its time.
  void sleep(Duration duration) { clock.advance_to(clock.time() + duration); }
  [[nodiscard]] Now now(HostId id) { return clock.now(hosts_[id].wall_offset); }

  [[nodiscard]] std::uint64_t seed() const noexcept { return seed_; }

  VirtualClock clock;
  Network network;
  Dice dice;
  /// Sees each datagram as it leaves a host, with its source after NAT.
  std::function<void(const Host& from, const Endpoint& source, const SentDatagram&)> on_wire;
  /// Bytes that hosts sent to addresses where no host lives, and bytes that came from there.
  struct Ledger {
    std::uint64_t to_stranger = 0;
    std::uint64_t from_stranger = 0;
  };
  std::map<Endpoint, Ledger> strangers;

 private:
  struct SentFrame {
    HostId from;
    HostId to;
    Bytes bytes;
    bool was_delivered = false;
  };

  void start_engine(Host& host);
  void apply(Host& host, const PeerConfig& config);
  /// Takes what the host's engine put out after a call.
  void collect(Host& host);
  void check_frame(const Host& host, const Bytes& frame);
  void arrive(const Flight& flight);
  void give(Host& host, const Path& path, std::uint8_t traffic_class, Bytes bytes);
  Host* host_at(const Endpoint& endpoint);
  [[nodiscard]] std::optional<Timestamp> next_deadline() const;
  /// On its way from `host` to wherever it is for.
  void put_on_wire(Host& host, SentDatagram&& datagram);
  [[noreturn]] void fail(const std::string& what) const;
  const Rules::Fail fail_ = [this](const std::string& what) { fail(what); };
  Archive archive_;

  std::uint64_t seed_;
  std::uint32_t next_place_ = 1;
  std::deque<Host> hosts_;
  std::list<Nat> nats_;
  std::vector<SentFrame> sent_frames_;
  std::uint64_t frames_delivered_ = 0;
  std::multimap<Timestamp, std::function<void()>> actions_;
};

}  // namespace culvert::sim
