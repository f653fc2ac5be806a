// Peers given by host name, followed to where their names lead.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "culvert/config/config_file.hpp"
#include "culvert/runtime/device.hpp"
#include "culvert/runtime/endpoint_lookup.hpp"
#include "culvert/runtime/log.hpp"

namespace culvert {

/// Looks up the names of peers' endpoints and tells the device: when a peer is first followed, again and again while
/// there is no answer, and whenever a handshake goes unanswered, the next address each time. Lives on the thread that
/// runs `io` and of the device; never blocks.
class PeerEndpoints {
 public:
  /// `io` and `device` outlive this object. Throws std::system_error.
  PeerEndpoints(boost::asio::io_context& io, Device& device);
  PeerEndpoints(const PeerEndpoints&) = delete;
  PeerEndpoints& operator=(const PeerEndpoints&) = delete;

  /// Looks `name` up for a peer that the device has. The same name again disturbs nothing; another one is looked up at
  /// once, and the address in use stays until there is an answer. A literal address is not followed: as forget().
  /// `persistent_keepalive` is what the device has for the peer: it waits for the first address.
  void follow(const PublicKey& key, const EndpointName& name, std::chrono::seconds persistent_keepalive);
  /// The address in use stays as it is. Nothing happens for a peer that is not followed.
  void forget(const PublicKey& key);
  /// To be told of each event of the engine's.
  void on_event(const Event& event);

 private:
  struct Followed {
    EndpointName name;
    std::chrono::seconds persistent_keepalive{0};
    std::uint64_t generation = 0;  ///< tells answers to questions about an earlier name
    bool is_looking_up = false;    ///< or waits to try that again: one lookup at a time
    std::size_t next_candidate = 0;
    std::chrono::seconds lookup_backoff{2};
    std::unique_ptr<boost::asio::steady_timer> retry;
  };

  void look_up(const PublicKey& key, Followed& followed);
  void looked_up(const PublicKey& key, Followed& followed, const std::vector<Endpoint>& endpoints,
                 const std::string& error);
  void try_again_later(const PublicKey& key, Followed& followed);
  void use(const PublicKey& key, const Followed& followed, const Endpoint& endpoint);
  /// Null unless the peer is followed by this name still.
  [[nodiscard]] Followed* find(const PublicKey& key, std::uint64_t generation);

  boost::asio::io_context& io_;
  Device& device_;
  EndpointLookup lookup_;
  std::unordered_map<PublicKey, Followed> followed_;
  std::uint64_t last_generation_ = 0;
  LogLimit log_;
};

}  // namespace culvert
