// From bridge to NIC, from wherever the way there was interrupted.
#include <algorithm>
#include <cerrno>
#include <exception>
#include <optional>
#include <system_error>

#include "culvert/bridge/attachment.hpp"
#include "culvert/io/clock.hpp"
#include "culvert/io/ingress_redirect.hpp"
#include "culvert/io/sysctl.hpp"
#include "dummy_address.hpp"
#include "moving.hpp"

namespace culvert {

namespace {

using Kind = NetworkObject::Kind;

class TakingBack {
 public:
  TakingBack(const BridgeJournal& journal, const BridgeStep& before_step)
      : journal_(journal), before_step_(before_step) {}

  std::vector<std::string> run() {
    attempt("look at the links", [&] { look(); });
    if (nic_) give_back();
    remove_rules();
    if (bridge_) leave_bridge();
    return std::move(problems_);
  }

 private:
  template <class Act>
  void attempt(const std::string& what, Act act) {
    if (before_step_) before_step_(what);
    try {
      act();
    } catch (const std::exception& error) {
      problems_.push_back(what + ": " + error.what());
    }
  }

  void look() {
    remove_dummy_address(netlink_, journal_);
    links_ = netlink_.link_details();
    for (const LinkDetails& link : links_) {
      if (link.name.index == journal_.nic.index) nic_ = link;
      if (is_bridge(link)) bridge_ = link;
    }
    if (!bridge_) return;
    const auto is_foreign_port = [&](const LinkDetails& link) {
      if (link.master != bridge_->name.index || link.name.index == journal_.nic.index) return false;
      return std::ranges::find(journal_.taps, link.name.index, &LinkName::index) == journal_.taps.end();
    };
    bridge_goes_ = journal_.is_own_bridge && std::ranges::none_of(links_, is_foreign_port);
    if (journal_.is_own_bridge) at_bridge_ = netlink_.objects_at(bridge_->name);
  }

  [[nodiscard]] bool is_bridge(const LinkDetails& link) const {
    if (link.kind != "bridge") return false;
    if (journal_.bridge.index != 0) return link.name.index == journal_.bridge.index;
    // Killed between making it and noting its number.
    return link.name.name == journal_.bridge.name && link.mac == journal_.bridge_mac;
  }

  // As it is at the bridge by now, with a lifetime that may have been extended there.
  [[nodiscard]] std::optional<NetworkObject> due(const NetworkObject& before) const {
    const auto now = read_clocks().time;
    auto object = aged(before, std::chrono::duration_cast<std::chrono::seconds>(now - journal_.before.taken));
    if (!lifetime_of(before)) return object;
    const auto there = std::ranges::find_if(at_bridge_, [&](const NetworkObject& at) { return is_same(at, before); });
    if (there != at_bridge_.end()) object = moved(*there, bridge_->name, nic_->name);
    return object;
  }

  [[nodiscard]] bool is_ours(const NetworkObject& at_bridge) const {
    return std::ranges::any_of(journal_.before.objects,
                               [&](const NetworkObject& before) { return is_same(before, at_bridge); });
  }

  // All that shall be at the NIC, those of others behind ours.
  [[nodiscard]] std::vector<NetworkObject> wanted() const {
    std::vector<NetworkObject> all;
    for (const NetworkObject& before : journal_.before.objects) {
      if (auto object = due(before)) all.push_back(std::move(*object));
    }
    if (!bridge_ || !bridge_goes_) return all;
    for (const NetworkObject& there : at_bridge_) {
      if (there.kind != Kind::Rule && !is_ours(there)) all.push_back(moved(there, bridge_->name, nic_->name));
    }
    return all;
  }

  void give_back() {
    if (journal_.before.is_up && !nic_->is_up) {
      attempt("bring " + nic_->name.name + " up", [&] { netlink_.set_up(nic_->name.index, true); });
    }
    if (bridge_ && journal_.is_own_bridge) {
      attempt("let packets come either way",
              [&] { write_sysctl("net/ipv4/conf/" + bridge_->name.name + "/rp_filter", "2"); });
    }
    const std::vector<NetworkObject> objects = wanted();
    for (const Kind kind : {Kind::Address, Kind::Neighbour, Kind::Rule, Kind::Route}) {
      for (const NetworkObject& object : objects) {
        if (object.kind == kind) add(object);
      }
      if (kind != Kind::Address) continue;
      await_addresses(netlink_, nic_->name.index);
      if (!bridge_ || !journal_.is_own_bridge) continue;
      attempt("share the neighbours of " + bridge_->name.name,
              [&] { netlink_.share_neighbours(bridge_->name.index, nic_->name.index); });
    }
    for (const KernelSetting& before : journal_.before.settings) {
      attempt("restore " + before.name, [&] {
        // Whatever somebody else has set since is his.
        if (read_sysctl(before.name) == port_value_of(before.name)) write_sysctl(before.name, before.value);
      });
    }
    std::optional<DummyAddress> dummy;
    attempt("give " + journal_.bridge.name + " a dummy address", [&] { dummy.emplace(netlink_, journal_); });
    clear_bridge();
    if (bridge_ && nic_->master == bridge_->name.index) {
      attempt("take " + nic_->name.name + " out of " + bridge_->name.name, [&] {
        // The port stops forwarding before it is none any more.
        const auto around_the_port = IngressRedirect::begin(nic_->name.index, bridge_->name.index);
        netlink_.set_master(nic_->name.index, 0);
      });
    }
    attempt("take the dummy address from " + journal_.bridge.name, [&] { dummy.reset(); });
    if (!journal_.before.is_up) {
      attempt("take " + nic_->name.name + " down", [&] { netlink_.set_up(nic_->name.index, false); });
    }
  }

  void add(const NetworkObject& object) {
    attempt("give " + describe(object) + " back to " + nic_->name.name, [&] {
      // A route of ours on the bridge is moved in one go; anybody else's in its place stays.
      const bool is_at_bridge = std::ranges::any_of(
          at_bridge_, [&](const NetworkObject& there) { return there.kind == Kind::Route && is_same(there, object); });
      const AddMode mode = is_at_bridge ? AddMode::Replace : AddMode::Exclusive;
      try {
        add_at_once(netlink_, object, mode);
      } catch (const std::system_error& error) {
        if (error.code().value() != EEXIST) throw;
      }
    });
  }

  void clear_bridge() {
    if (!bridge_) return;
    for (auto there = at_bridge_.rbegin(); there != at_bridge_.rend(); ++there) {
      const bool goes = bridge_goes_ ? there->kind != Kind::Rule : is_ours(*there);
      if (!goes) continue;
      attempt("take " + describe(*there) + " from " + bridge_->name.name, [&] { netlink_.remove(*there); });
    }
    if (bridge_goes_) return;
    // An address may have gone with another of its network, and a route with both.
    for (const NetworkObject& there : at_bridge_) {
      if (is_ours(there)) continue;
      attempt("keep " + describe(there), [&] {
        try {
          netlink_.add(there, AddMode::Exclusive);
        } catch (const std::system_error& error) {
          if (error.code().value() != EEXIST) throw;
        }
      });
    }
  }

  void remove_rules() {
    for (const NetworkObject& before : journal_.before.objects) {
      if (before.kind != Kind::Rule) continue;
      attempt("take " + describe(before) + " from " + journal_.bridge.name,
              [&] { netlink_.remove(moved(before, journal_.nic, journal_.bridge)); });
    }
  }

  void leave_bridge() {
    for (const LinkDetails& link : links_) {
      const bool is_tap = std::ranges::find(journal_.taps, link.name) != journal_.taps.end();
      if (!is_tap || link.master != bridge_->name.index) continue;
      attempt("take " + link.name.name + " out of " + bridge_->name.name,
              [&] { netlink_.set_master(link.name.index, 0); });
    }
    if (!bridge_goes_) return;
    attempt("remove " + bridge_->name.name, [&] { netlink_.remove_link(bridge_->name.index); });
  }

  const BridgeJournal& journal_;
  const BridgeStep& before_step_;
  Netlink netlink_;
  std::vector<LinkDetails> links_;
  std::optional<LinkDetails> nic_;
  std::optional<LinkDetails> bridge_;
  bool bridge_goes_ = false;
  std::vector<NetworkObject> at_bridge_;
  std::vector<std::string> problems_;
};

}  // namespace

std::vector<std::string> take_back(const BridgeJournal& journal, const BridgeStep& before_step) {
  return TakingBack(journal, before_step).run();
}

}  // namespace culvert
