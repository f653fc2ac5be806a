// The link between a sandbox and its host, and what the host does for it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "culvert/base/address.hpp"
#include "culvert/netns/network_namespace.hpp"
#include "culvert/netns/steps.hpp"
#include "culvert/sandbox/ends.hpp"
#include "culvert/sandbox/journal.hpp"

namespace culvert {

/// How a sandbox reaches others.
struct ConnectionWish {
  enum class Way : std::uint8_t {
    Host,    ///< its host, and nothing behind it
    Nat,     ///< what its host reaches, in the host's name
    Bridge,  ///< what is in a bridge
  };
  Way way = Way::Host;
  std::string bridge;             ///< made if it is missing
  EndAddresses addresses;         ///< none at all: default_addresses(), but for Bridge
  std::vector<Address> gateways;  ///< of Bridge: where what is not in the bridge's networks goes

  friend bool operator==(const ConnectionWish&, const ConnectionWish&) = default;
};

/// The wish with addresses outside that follow from those inside. Throws std::invalid_argument, in words of the command
/// line, for a wish that contradicts itself.
[[nodiscard]] ConnectionWish completed(ConnectionWish wish);

struct ConnectionOptions {
  std::string folder = std::string(sandbox_journal_folder);
  SaySandbox say;
  StepHook before_step;
};

/// A veth pair from the network namespace in which this is made into another one, up and addressed at both ends, with
/// the rules that the wish asks for; ready for packets when the constructor returns. All is undone when this ends, and
/// when the constructor throws std::exception; after a kill it is by take_back_leftovers(). Lives and dies on threads
/// that may enter both namespaces. Neither copied nor moved.
class Connection {
 public:
  /// The wish is a completed one.
  Connection(const ConnectionWish& wish, const NetworkNamespace& inside, ConnectionOptions options = {});
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  /// What the end outside is called.
  [[nodiscard]] const std::string& outer_link() const noexcept { return journal_.link.name; }
  [[nodiscard]] const EndAddresses& addresses() const noexcept { return addresses_; }

 private:
  void set_up(const ConnectionWish& wish, const NetworkNamespace& inside);
  void make_pair(const ConnectionWish& wish, const NetworkNamespace& inside);
  void write_journal(const ConnectionWish& wish);
  void join_bridge(const std::string& name);
  void filter(const ConnectionWish& wish);
  void address_outside(const ConnectionWish& wish);
  void address_inside(const ConnectionWish& wish, const NetworkNamespace& inside);
  void forward();
  void await_readiness(const ConnectionWish& wish, const NetworkNamespace& inside);
  void take_back() noexcept;
  void step(std::string_view what) const;
  void say(const std::string& text) const;

  ConnectionOptions options_;
  NetworkNamespace outside_;
  SandboxJournals journals_;
  SandboxJournal journal_;
  EndAddresses addresses_;
  std::uint32_t inner_index_ = 0;
  std::vector<Family> forwarded_;
};

/// Takes back what killed processes have left. What fails is said and passed over. Does nothing, and makes no folder,
/// if there never was a sandbox.
void take_back_leftovers(const ConnectionOptions& options = {}) noexcept;

}  // namespace culvert
