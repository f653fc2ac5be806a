// Which of a name's addresses a peer is called at, and when another one is tried.
#pragma once

#include <chrono>
#include <optional>
#include <vector>

#include "culvert/base/endpoint.hpp"
#include "culvert/base/time.hpp"

namespace culvert {

/// The rule for one peer. The address that last proved itself by an authenticated packet is kept, wherever the name
/// points: a peer that roams is not pulled back to a name that says what it always said. Another address is tried with
/// a handshake beside the traffic when the answer has become another one and does not have the address in use (at once,
/// and ever more rarely while nothing answers there), and when handshakes go unanswered (each address of the answer and
/// the one that worked last in turn). So a peer whose address changes is found as soon as the name is looked up, at the
/// end of the answer's lifetime or at the first handshake that fails, and its old address works until then.
///
/// Pure: told what happens, and when.
class EndpointChoice {
 public:
  /// The peer's endpoint as the engine has it.
  struct InUse {
    std::optional<Endpoint> endpoint;
    bool has_answered = false;  ///< something authentic came from the peer since it is known
  };

  struct Decision {
    enum class Kind {
      Keep,   ///< nothing is to be done
      Set,    ///< the endpoint becomes this one
      Probe,  ///< the next handshake is tried there
    } kind = Kind::Keep;
    Endpoint endpoint{};
    friend bool operator==(const Decision&, const Decision&) = default;
  };

  /// Pause after the first probe that nothing answered; it doubles up to the second.
  static constexpr std::chrono::seconds probe_pause_min{30};
  static constexpr std::chrono::seconds probe_pause_max{3600};

  /// The name was looked up; `found` is not empty.
  [[nodiscard]] Decision answered(const std::vector<Endpoint>& found, const InUse& in_use, Timestamp now);
  /// An initiation got no response, and another one is on its way along the path.
  [[nodiscard]] Decision handshake_unanswered(const InUse& in_use);
  void session_established() noexcept;
  /// Something authentic came from another address than before.
  void endpoint_moved() noexcept { is_news_ = false; }

 private:
  [[nodiscard]] Decision next_of(std::vector<Endpoint> candidates, const InUse& in_use);

  std::vector<Endpoint> known_;  ///< the last answer
  std::optional<Endpoint> last_tried_;
  bool is_news_ = false;     ///< the peer was not heard of where the last answer says
  bool is_probing_ = false;  ///< beside a path that is not known to fail
  bool is_failing_ = false;  ///< the last handshake went unanswered
  Timestamp next_probe_{};
  std::chrono::seconds probe_pause_ = probe_pause_min;
};

}  // namespace culvert
