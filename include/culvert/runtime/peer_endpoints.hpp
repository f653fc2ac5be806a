// Peers given by host name, followed to where their names lead.
#pragma once

#include <boost/asio/io_context.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "culvert/config/config_file.hpp"
#include "culvert/runtime/device.hpp"
#include "culvert/runtime/endpoint_choice.hpp"
#include "culvert/runtime/endpoint_lookup.hpp"
#include "culvert/runtime/log.hpp"

namespace culvert {

/// Looks up the names of peers' endpoints: when a peer is first followed, again and again while there is no answer,
/// when the lifetime of the answer ends, and whenever a handshake goes unanswered. EndpointChoice says what follows
/// from the answers. Lives on the thread that runs `io` and of the device; never blocks.
class PeerEndpoints {
 public:
  /// Asks for a name as EndpointLookup::look_up() does: the answer comes later, on the thread of `io`.
  using LookUp = std::function<void(std::string host, std::uint16_t port, EndpointLookup::Answer answer)>;

  /// Asks the system's resolver. `io` and `device` outlive this object. Throws std::system_error.
  PeerEndpoints(boost::asio::io_context& io, Device& device);
  /// Asks `look_up`.
  PeerEndpoints(boost::asio::io_context& io, Device& device, LookUp look_up);
  PeerEndpoints(const PeerEndpoints&) = delete;
  PeerEndpoints& operator=(const PeerEndpoints&) = delete;

  /// Looks `name` up for a peer that the device has. The same name again disturbs nothing; another one is looked up at
  /// once, and the address in use stays until there is an answer. A literal address is not followed: as forget().
  /// `persistent_keepalive` is what the device has for the peer: it waits for the first address.
  void follow(const PublicKey& key, const EndpointName& name, std::chrono::seconds persistent_keepalive);
  /// The address in use stays as it is. Nothing happens for a peer that is not followed.
  void forget(const PublicKey& key);
  /// Looks all names up again, by `resolver` from now on; answers that are on their way are lost.
  void use(std::unique_ptr<EndpointLookup> resolver);
  /// One that asks in that namespace. Throws std::system_error.
  [[nodiscard]] std::unique_ptr<EndpointLookup> lookup_in(const NetworkNamespace& there) const {
    return std::make_unique<EndpointLookup>(io_, there);
  }
  /// To be told of each event of the engine's.
  void on_event(const Event& event);

 private:
  struct Followed {
    EndpointName name;
    std::chrono::seconds persistent_keepalive{0};
    std::uint64_t generation = 0;  ///< tells answers to questions about an earlier name
    bool is_looking_up = false;
    std::chrono::seconds lookup_backoff{0};  ///< zero: the last lookup did not fail
    EndpointChoice choice;
    std::unique_ptr<boost::asio::steady_timer> next_lookup;
  };

  void look_up(const PublicKey& key, Followed& followed);
  void look_up_after(std::chrono::seconds pause, const PublicKey& key, Followed& followed);
  void looked_up(const PublicKey& key, Followed& followed, FoundEndpoints found);
  void carry_out(const EndpointChoice::Decision& decision, const Peer& peer, const Followed& followed);
  /// Null unless the peer is followed by this name still.
  [[nodiscard]] Followed* find(const PublicKey& key, std::uint64_t generation);

  boost::asio::io_context& io_;
  Device& device_;
  std::unique_ptr<EndpointLookup> resolver_;
  LookUp look_up_;
  std::unordered_map<PublicKey, Followed> followed_;
  std::uint64_t last_generation_ = 0;
  LogLimit log_;
};

}  // namespace culvert
