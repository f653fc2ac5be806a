// What every host keeps to in every world, whatever happens to it: looked at from outside, before and after each call
// of its engine. W-05 to W-13 and W-17 of the protocol's properties.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "culvert/engine/engine.hpp"
#include "sim/virtual_clock.hpp"
#include "support/recording_sinks.hpp"

namespace culvert::sim {

/// Who made a datagram, and the how manieth of all it was: for telling what is authentic from what only looks like it.
struct Origin {
  std::size_t host;
  std::uint64_t number;
};
class Archive {
 public:
  void add(ByteView datagram, std::size_t host) { made_.emplace(hash(datagram), Origin{host, made_.size()}); }
  [[nodiscard]] std::optional<Origin> find(ByteView datagram) const {
    const auto found = made_.find(hash(datagram));
    return found == made_.end() ? std::nullopt : std::optional(found->second);
  }

 private:
  /// Of what is authenticated: mac2 is looked at under load only.
  static std::size_t hash(ByteView bytes);
  std::unordered_map<std::size_t, Origin> made_;
};

/// Of one life of an engine.
class Rules {
 public:
  using Fail = std::function<void(const std::string&)>;

  /// A call begins: for a frame from the device, because of the time, or for `datagram` from `source`.
  void frame_begins(const Engine& engine);
  void deadline_begins(const Engine& engine);
  void datagram_begins(const Engine& engine, const Endpoint& source, ByteView datagram, const Archive& archive,
                       Timestamp now);
  /// The call is over, and this is what it sent. `key_of` tells a host's public key.
  void end(const Engine& engine, const std::vector<SentDatagram>& sent, Timestamp now,
           const std::function<const PublicKey&(std::size_t)>& key_of, const Fail& fail);
  void initiation_sent(PeerId peer, Timestamp now, const Fail& fail);
  /// When all that was due has been done.
  static void check_ages(const Engine& engine, Timestamp now, const Fail& fail);

 private:
  enum class Cause { Frame, Deadline, Handshake, Cookie, Data, Nonsense };
  struct Use {
    SessionIndex local;
    SessionIndex remote;
    Timestamp birth;
    bool is_initiator;
    bool is_worn;  ///< by its counter
  };
  struct State {
    std::optional<Endpoint> place;
    std::optional<Use> current;
    std::optional<Timestamp> last_handshake_sent;
    std::uint64_t received_bytes = 0;
  };

  static State state_of(const Peer& peer);
  void remember(const Engine& engine);
  void check_data(const Engine& engine, const SentDatagram& sent, Timestamp now, const Fail& fail) const;
  void check_place(const Peer& peer, const State& before, const std::function<const PublicKey&(std::size_t)>& key_of,
                   const Fail& fail) const;
  void check_renewal(const Peer& peer, const State& before, const std::vector<SentDatagram>& sent, Timestamp now,
                     const Fail& fail) const;
  void check_handshake(const std::vector<SentDatagram>& sent, Timestamp now, const Fail& fail);

  std::vector<State> before_;                            ///< by slot
  std::unordered_map<std::uint32_t, Timestamp> births_;  ///< of all sessions, by local index
  Cause cause_ = Cause::Nonsense;
  std::optional<Timestamp> birth_;  ///< of the session that the datagram names
  Endpoint source_;
  std::optional<Origin> origin_;
  std::map<std::size_t, std::uint64_t> answered_;  ///< by host: the last of its initiations
  std::unordered_set<std::uint32_t> heard_;        ///< sessions that authentic data named
  std::deque<Timestamp> handshakes_came_;          ///< in the last two seconds
  std::map<std::uint32_t, Timestamp> initiated_;   ///< by slot
};

}  // namespace culvert::sim
