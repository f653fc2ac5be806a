// A wg-quick file in force: what is done around a device, step by step, and undone in the reverse order.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "culvert/config/config_file.hpp"
#include "culvert/io/policy_monitor.hpp"
#include "culvert/netns/network_namespace.hpp"
#include "culvert/quick/difference.hpp"
#include "culvert/quick/dns.hpp"
#include "culvert/quick/journal.hpp"
#include "culvert/quick/program.hpp"
#include "culvert/runtime/device_setup.hpp"

namespace culvert {

/// How a default route is kept from catching the tunnel's own datagrams: these have a mark, and what has not is looked
/// up in a table of the tunnel's own, unless the main table has a route to it that is no default route.
struct DefaultRoutePolicy {
  std::uint32_t mark = 0;  ///< also the number of the table
  std::vector<Family> families;
};

/// Its life: prepare(), then the caller makes the device from config() and setup(), then finish_up(); and
/// back: begin_down(), the caller ends the device, end_down(). When anything throws on the way up, the way down starts
/// there. What the kernel does not undo with the device or the process is in the journal before it is done. All but
/// interrupt() is called by one thread at a time.
class QuickSetup {
 public:
  struct Options {
    std::string folder = std::string(journal_folder);
    DnsPrograms dns;
    /// Told what comes next, before each step and after its entry in the journal; what it throws is a failure of that
    /// step.
    std::function<void(std::string_view)> before_step;
    bool keep_failures = false;  ///< leave word in the journal of what could not be undone
  };

  /// Changes nothing. Throws ConfigError or std::exception for what cannot be.
  QuickSetup(const Config& config, std::string name, Options options);

  /// Undoes what a killed process of this name left, runs PreUp, and fills in the MTU and mark of a file that has none.
  void prepare(Config& config);
  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] DeviceSetup setup();
  /// DNS, packet filter, rules, PostUp. The device is at work meanwhile, so that hooks may use it.
  void finish_up(const Config& config);

  /// Fills in the MTU and mark of another file that shall take the place of `before`, as prepare() does; changes
  /// nothing, but opens its SocketNamespace. Throws ConfigError for what only a tunnel that goes down and up again can
  /// change, and what NetworkNamespace::open throws.
  void complete(const Config& before, Config& wanted);
  /// The routes of a completed file.
  [[nodiscard]] std::vector<Route> routes_of(const Config& completed) const;
  /// Only while up: makes what was done for `before` fit `wanted`, which is completed: addresses, routes, MTU, DNS,
  /// rules and packet filter, and the hooks of the way down. Throws what stood in the way, with everything as before as
  /// far as that could be.
  void change(const Config& before, const Config& wanted);
  /// Whether sockets that change() is told of move to where default routes of the tunnel's own would catch their
  /// datagrams: then they move after it, otherwise before.
  [[nodiscard]] bool moves_under_rules(const Config& wanted) const { return next_sockets_ && policy_of(wanted); }
  /// After a change was made, of SocketNamespace and all else, or after it was not: takes the name from the namespace
  /// that is not used any more, if no other tunnel does. What fails is logged.
  void end_change(bool is_made) noexcept;
  /// Fills in what is there now. The device's thread answers meanwhile. Throws std::exception.
  void look(PresentState& present) const;

  /// Whether there are routing rules of ours.
  [[nodiscard]] bool has_policy() const noexcept { return policy_ && !policy_->families.empty(); }
  /// Watches the namespace in which they are. Throws std::system_error.
  [[nodiscard]] PolicyMonitor watch_policy() const;
  /// Makes those again that somebody removed, and the default routes of `config`, which is in force, in the table of
  /// the tunnel's own, as systemd-networkd does when it starts; returns how many. Only while up. Throws
  /// std::system_error.
  unsigned restore_policy(const Config& config);

  /// PreDown, then `after_pre_down`, then the undoing of all else that finish_up() did. What fails is logged and passed
  /// over.
  void begin_down(const std::function<void()>& after_pre_down = {}) noexcept;
  /// PostDown, and the end of the journal. Returns whether all was undone.
  bool end_down() noexcept;

  /// From any thread: the way up ends at the next step, a hook that runs now ends now. On the way down: only the
  /// latter.
  void interrupt();

 private:
  void step(const std::string& what, std::optional<Undo> undo, const std::function<void()>& act);
  void announce(std::string_view what) const;
  void settle_namespaces(const Config& config);
  void raise_namespaces(const Config& config);
  void share_namespace(const NetworkNamespace& space);
  void leave_namespace(const NetworkNamespace& space);
  [[nodiscard]] const NetworkNamespace& sockets_of(const Config& config) const noexcept;
  void tell_of_lost_namespaces() const noexcept;
  void begin_journal(const Config& config);
  void arm_post_down(const Config& config);
  void run_hooks(const Config& config, std::string_view key, const std::vector<std::string>& lines);
  [[nodiscard]] std::vector<Family> default_route_families(const Config& config) const;
  void refuse_dns_elsewhere(const Config& config) const;
  [[nodiscard]] std::uint32_t mark_for(const Config& config) const;
  [[nodiscard]] std::uint32_t table_of(const Config& completed) const;
  [[nodiscard]] std::optional<DefaultRoutePolicy> policy_of(const Config& completed) const;
  void decide_policy(Config& config);
  void decide_mtu(Config& config) const;
  void raise_bridge(Config& config);
  void change_to(const Config& before, const Config& wanted);
  void change_dns(const Config& before, const Config& wanted);
  void change_policy(const Config& wanted);
  void change_hooks(const Config& wanted);
  void undo_those(const std::function<bool(const Undo&)>& is_meant);
  void raise_dns(const Config& config);
  void raise_policy(const Config& config, Family family);
  void raise_src_valid_mark();
  void undo_last() noexcept;
  void note_failure(const std::string& what);
  void save_journal() noexcept;

  std::string name_;
  Options options_;
  NetworkNamespace device_namespace_;
  NetworkNamespace socket_namespace_;
  std::optional<NetworkNamespace> next_sockets_;  ///< of a file that shall take the place of the present one
  JournalFolder folder_;
  ProgramRunner programs_;
  JournalEntries entries_;
  bool has_journal_ = false;
  std::optional<DefaultRoutePolicy> policy_;
  bool is_mark_chosen_ = false;       ///< the file in force names none
  bool is_next_mark_chosen_ = false;  ///< of a file that shall take its place
  std::atomic<bool> is_interrupted_ = false;
  std::atomic<bool> is_going_down_ = false;
};

/// Takes over the journal of `name` from a process that is gone and undoes what it says. Nothing: there is none. Else
/// whether all could be undone. Throws if the process is alive.
std::optional<bool> clean_up_after(const JournalFolder& folder, const std::string& name, const DnsPrograms& dns = {});

}  // namespace culvert
