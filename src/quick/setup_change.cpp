// Another file for a tunnel that is up.
#include <algorithm>
#include <exception>
#include <stdexcept>

#include "culvert/quick/control_client.hpp"
#include "culvert/quick/current_config.hpp"
#include "culvert/quick/firewall.hpp"
#include "culvert/quick/setup.hpp"
#include "culvert/runtime/log.hpp"

namespace culvert {

void QuickSetup::complete(const Config& before, Config& wanted) {
  if (wanted.mode != before.mode || wanted.bridge != before.bridge || wanted.bridge_port != before.bridge_port ||
      wanted.device_namespace != before.device_namespace || wanted.offloads != before.offloads ||
      wanted.queues != before.queues || wanted.busy_poll != before.busy_poll) {
    throw ConfigError(wanted.path, 0, 0,
                      "Mode, Bridge, BridgePort, Namespace, Offloads, Queues and BusyPoll cannot be "
                      "changed while the tunnel is "
                      "up: culvert down " +
                          name_ + " and culvert up");
  }
  refuse_dns_elsewhere(wanted);
  next_sockets_.reset();
  if (wanted.socket_namespace != before.socket_namespace) {
    next_sockets_ =
        wanted.socket_namespace.empty() ? NetworkNamespace::current() : NetworkNamespace::open(wanted.socket_namespace);
  }
  // A tap in a bridge has the MTU that it found there.
  if (!wanted.bridge.empty() && !wanted.mtu) wanted.mtu = before.mtu;
  decide_mtu(wanted);
  is_next_mark_chosen_ = wanted.firewall_mark.value_or(0) == 0;
  if (!default_route_families(wanted).empty()) wanted.firewall_mark = mark_for(wanted);
}

std::vector<Route> QuickSetup::routes_of(const Config& completed) const {
  return culvert::routes_of(completed, table_of(completed));
}

std::uint32_t QuickSetup::table_of(const Config& completed) const {
  const auto policy = policy_of(completed);
  return policy ? policy->mark : DeviceSetup{}.default_route_table;
}

void QuickSetup::look(PresentState& present) const {
  take_device_state(present.device, ask_tunnel(name_, "get=1\n\n"), 0);
  const ScopedNamespace inside(device_namespace_);
  Netlink netlink;
  const auto link = netlink.find_link(name_);
  if (!link) throw std::runtime_error("there is no device " + name_);
  present.mtu = link->mtu;
  present.addresses = netlink.addresses(link->index);
  present.routes = netlink.routes(link->index);
}

void QuickSetup::change(const Config& before, const Config& wanted) {
  try {
    change_to(before, wanted);
  } catch (...) {
    const auto failure = std::current_exception();
    try {
      change_to(wanted, before);
    } catch (const std::exception& error) {
      spdlog::warn("{}: going back to what was before: {}", name_, error.what());
    }
    std::rethrow_exception(failure);
  }
}

void QuickSetup::change_to(const Config& before, const Config& wanted) {
  if (next_sockets_) share_namespace(sockets_of(wanted));
  // Without a moment in which no route or no rule leads into the tunnel.
  const bool rules_come = policy_of(wanted) && !policy_;
  if (rules_come) change_policy(wanted);
  announce("change the device");
  change_device(name_, device_namespace_, before, table_of(before), wanted, table_of(wanted));
  if (!rules_come) change_policy(wanted);
  change_dns(before, wanted);
  change_hooks(wanted);
}

void QuickSetup::end_change(bool is_made) noexcept {
  if (is_made) is_mark_chosen_ = is_next_mark_chosen_;
  if (!next_sockets_) return;
  if (is_made) std::swap(socket_namespace_, *next_sockets_);
  const NetworkNamespace left = *std::exchange(next_sockets_, std::nullopt);
  try {
    leave_namespace(left);
  } catch (const std::exception& error) {
    spdlog::warn("{}: leaving {}: {}", name_, printable(describe(left)), error.what());
  }
}

void QuickSetup::change_policy(const Config& wanted) {
  const auto next = policy_of(wanted);
  policy_ = next;
  entries_.table = next ? next->mark : 0;
  save_journal();
  for (const Family family : {Family::V4, Family::V6}) {
    const bool is_wanted = next && std::ranges::find(next->families, family) != next->families.end();
    std::vector<Undo> old;
    std::ranges::copy_if(entries_.undos, std::back_inserter(old), [family](const Undo& undo) {
      const auto* remove = std::get_if<RemoveRule>(&undo);
      return remove && remove->rule.family == family;
    });
    const bool stays = is_wanted && old.size() == 3 && std::ranges::any_of(old, [&next](const Undo& undo) {
                         return std::get<RemoveRule>(undo).rule.table == next->mark;
                       });
    if (stays) {
      old.clear();
      step("change packet filter rules", std::nullopt, [&] {
        const ScopedNamespace inside(device_namespace_);
        add_firewall(family, name_, wanted.addresses, next->mark);
      });
    } else if (is_wanted) {
      raise_policy(wanted, family);
    }
    // Only now, so that no packet finds a moment without rules.
    undo_those([&](const Undo& undo) {
      if (std::ranges::find(old, undo) != old.end()) return true;
      if (is_wanted) return false;
      const auto* firewall = std::get_if<RemoveFirewall>(&undo);
      return (firewall && firewall->family == family) ||
             (family == Family::V4 && std::holds_alternative<RestoreSourceValidMark>(undo));
    });
  }
}

void QuickSetup::change_dns(const Config& before, const Config& wanted) {
  if (before.dns == wanted.dns) return;
  const auto is_dns = [](const Undo& undo) {
    return std::holds_alternative<RemoveFromResolvconf>(undo) || std::holds_alternative<RevertResolved>(undo);
  };
  if (wanted.dns.empty()) return undo_those(is_dns);
  raise_dns(wanted);
}

void QuickSetup::change_hooks(const Config& wanted) {
  std::erase_if(entries_.undos, [](const Undo& undo) { return std::holds_alternative<RunHooks>(undo); });
  if (!wanted.pre_down.empty()) entries_.undos.push_back(RunHooks{"PreDown", wanted.pre_down});
  arm_post_down(wanted);
  folder_.write(entries_);
}

void QuickSetup::undo_those(const std::function<bool(const Undo&)>& is_meant) {
  const ScopedNamespace inside(device_namespace_);
  for (std::size_t at = entries_.undos.size(); at-- > 0;) {
    const Undo undo = entries_.undos[at];
    if (!is_meant(undo)) continue;
    announce("undo a step");
    if (!is_needed_by_others(undo, entries_.where, folder_.others(name_))) perform(undo, programs_, options_.dns);
    entries_.undos.erase(entries_.undos.begin() + static_cast<std::ptrdiff_t>(at));
    folder_.write(entries_);
  }
}

}  // namespace culvert
