// Making a sandbox's link, and taking it back.
#include "culvert/sandbox/connection.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <stdexcept>
#include <system_error>
#include <thread>

#include "culvert/io/netlink.hpp"
#include "culvert/io/packet_filter.hpp"
#include "culvert/netns/interface.hpp"
#include "culvert/sandbox/forwarding.hpp"
#include "culvert/sandbox/forwarding_rules.hpp"

namespace culvert {

namespace {

using Way = ConnectionWish::Way;

[[noreturn]] void refuse(const std::string& why) {
  throw std::invalid_argument(why);
}

bool has_family(const std::vector<Prefix>& prefixes, Family family) {
  return std::ranges::any_of(prefixes, [&](const Prefix& prefix) { return prefix.address.family() == family; });
}

std::optional<LinkDetails> find_link(const std::string& name) {
  const auto links = Netlink().link_details();
  const auto found = std::ranges::find_if(links, [&](const LinkDetails& link) { return link.name.name == name; });
  if (found == links.end()) return std::nullopt;
  return *found;
}

struct NetworkInUse {
  Prefix network;
  std::string link;
};

/// Networks that this host reaches by more than a route to everything around them.
std::vector<NetworkInUse> networks_in_use() {
  Netlink netlink;
  std::vector<NetworkInUse> networks;
  for (const Link& link : netlink.links()) {
    for (const Prefix& address : netlink.addresses(link.index)) networks.push_back({address.masked(), link.name});
    for (const Route& route : netlink.routes(link.index)) networks.push_back({route.destination, link.name});
  }
  return networks;
}

/// What this host would reach no more.
const NetworkInUse* find_taken(const EndAddresses& addresses, const std::vector<NetworkInUse>& in_use) {
  const auto found = std::ranges::find_if(in_use, [&](const NetworkInUse& used) {
    return std::ranges::any_of(addresses.inside, [&](const Prefix& wanted) {
      return used.network.length >= wanted.length && overlap(used.network, wanted);
    });
  });
  return found == in_use.end() ? nullptr : &*found;
}

/// Whether the pair was made; false if the name outside is taken.
bool try_pair(const std::string& outer, const NetworkNamespace& inside) {
  try {
    Netlink().add_veth({.name = outer, .peer_name = inner_link_name, .peer_namespace = inside.fd(), .mtu = {}});
    return true;
  } catch (const std::system_error& error) {
    // The name inside is free: the namespace is new.
    if (error.code().value() != EEXIST) throw;
    return false;
  }
}

void add_addresses(std::uint32_t index, const std::string& link, const std::vector<Prefix>& addresses) {
  const bool is_with_ipv6 = has_ipv6(link);
  // Nobody else is at the link to have the same addresses.
  if (is_with_ipv6) write_sysctl("net/ipv6/conf/" + link + "/accept_dad", "0");
  Netlink netlink;
  for (const Prefix& address : addresses) {
    if (address.address.is_v4() || is_with_ipv6) netlink.add_address(index, address);
  }
}

/// Removes a bridge that is still ours and has no ports left.
void remove_bridge(const MadeBridge& made) {
  const auto bridge = find_link(made.name);
  if (!bridge || bridge->kind != "bridge" || bridge->mac != made.mac) return;
  Netlink netlink;
  const auto is_port = [&](const LinkDetails& link) { return link.master == bridge->name.index; };
  if (std::ranges::any_of(netlink.link_details(), is_port)) return;
  netlink.remove_link(bridge->name.index);
}

/// Nothing happens if it is gone, with its other end's namespace, or another has its name.
void remove_link(const LinkName& gone) {
  const auto link = find_link(gone.name);
  if (!link || link->name != gone) return;
  try {
    Netlink().remove_link(gone.index);
  } catch (const std::system_error& error) {
    if (error.code().value() != ENODEV) throw;
  }
}

template <class Act>
void attempt(const SaySandbox& say, const std::string& link, Act act) noexcept {
  try {
    act();
  } catch (const std::exception& error) {
    if (say) say(link + ": " + error.what());
  }
}

/// What is done in the network namespace of the journal; what others still need stays.
void take_back_at_host(const SandboxJournal& journal, std::vector<SandboxJournal> others, const SaySandbox& say) {
  attempt(say, journal.link.name, [&] { remove_link(journal.link); });
  std::erase_if(others, [&](const SandboxJournal& other) { return other.where != journal.where; });
  const auto is_needed = [&](auto is_in) { return std::ranges::any_of(others, is_in); };
  if (!is_needed([&](const SandboxJournal& other) { return other.link.name == journal.link.name; })) {
    attempt(say, journal.link.name, [&] { remove_nft_table(forwarding_table_of(journal.link.name)); });
  }
  for (const Family family : {Family::V4, Family::V6}) {
    const auto settings = settings_of(journal.settings, family);
    const auto has_some = [&](const SandboxJournal& other) { return !settings_of(other.settings, family).empty(); };
    if (!is_needed(has_some)) attempt(say, journal.link.name, [&] { restore_forwarding(settings); });
  }
  const auto is_at_bridge = [&](const SandboxJournal& other) { return other.bridge == journal.bridge; };
  if (journal.bridge && !is_needed(is_at_bridge))
    attempt(say, journal.link.name, [&] { remove_bridge(*journal.bridge); });
}

}  // namespace

ConnectionWish completed(ConnectionWish wish) {
  EndAddresses& addresses = wish.addresses;
  if (wish.way == Way::Bridge) {
    check_interface_name(wish.bridge);
    if (!addresses.outside.empty()) refuse("--host-address: the end outside is a port of a bridge and has no address");
    for (const Address& gateway : wish.gateways) {
      const auto is_on_link = [&](const Prefix& inside) { return inside.contains(gateway); };
      if (std::ranges::any_of(addresses.inside, is_on_link)) continue;
      refuse("--gateway " + gateway.to_string() + " is in no network of an --address");
    }
    return wish;
  }
  if (!wish.gateways.empty()) refuse("--gateway is for --bridge; with --nat it is the host's end");
  if (addresses.inside.empty() && !addresses.outside.empty()) refuse("--host-address needs an --address inside, too");
  for (const Prefix& inside : addresses.inside) {
    const auto is_same = [&](const Prefix& outside) { return outside.address == inside.address; };
    if (std::ranges::any_of(addresses.outside, is_same)) {
      refuse(inside.address.to_string() + " cannot be the address of both ends");
    }
    const auto is_on_link = [&](const Prefix& outside) { return inside.masked().contains(outside.address); };
    if (std::ranges::any_of(addresses.outside, is_on_link)) continue;
    const auto other = other_end_of(inside);
    if (!other) {
      refuse(
          "--address " + inside.to_string() +
          " leaves no address to the host: give a length, as in 10.5.0.2/24, or a --host-address in the same network");
    }
    addresses.outside.push_back(*other);
  }
  return wish;
}

Connection::Connection(const ConnectionWish& wish, const NetworkNamespace& inside, ConnectionOptions options)
    : options_(std::move(options)), outside_(NetworkNamespace::current()), journals_(options_.folder) {
  journal_.owner = ProcessIdentity::self();
  journal_.process_space = own_process_space();
  journal_.where = outside_.identity();
  try {
    set_up(wish, inside);
  } catch (...) {
    take_back();
    throw;
  }
}

Connection::~Connection() {
  take_back();
}

void Connection::set_up(const ConnectionWish& wish, const NetworkNamespace& inside) {
  make_pair(wish, inside);
  write_journal(wish);
  if (wish.way == Way::Bridge) {
    join_bridge(wish.bridge);
  } else {
    filter(wish);
  }
  address_outside(wish);
  address_inside(wish, inside);
  forward();
  await_readiness(wish, inside);
}

void Connection::make_pair(const ConnectionWish& wish, const NetworkNamespace& inside) {
  step("make the veth pair");
  const bool is_default = wish.way != Way::Bridge && wish.addresses == EndAddresses{};
  const std::vector<NetworkInUse> in_use = wish.way != Way::Bridge ? networks_in_use() : std::vector<NetworkInUse>();
  if (const auto* const taken = find_taken(wish.addresses, in_use)) {
    throw std::runtime_error("--address " + wish.addresses.inside.front().to_string() + ": this host has " +
                             taken->network.to_string() + " at " + taken->link +
                             " already, which it would reach no more: take another network, or --bridge");
  }
  for (unsigned number = 0; number < sandboxes_max; ++number) {
    const EndAddresses addresses = is_default ? default_addresses(number) : wish.addresses;
    if (is_default && find_taken(addresses, in_use) != nullptr) continue;
    if (!try_pair(outer_link_name(number), inside)) continue;
    journal_.link = find_link(outer_link_name(number)).value_or(LinkDetails{}).name;
    addresses_ = addresses;
    return;
  }
  throw std::runtime_error(is_default ? "all networks that sandboxes take by default are in use: give an --address"
                                      : "all names of links to sandboxes are taken");
}

void Connection::write_journal(const ConnectionWish& wish) {
  const UniqueFd lock = journals_.lock();
  const auto others = journals_.others(journal_, options_.say);
  if (wish.way == Way::Nat) {
    for (const Family family : {Family::V4, Family::V6}) {
      if (!has_family(addresses_.inside, family)) continue;
      if (family == Family::V6 && (!has_ipv6(journal_.link.name) || would_lose_advertised_routes())) {
        if (has_ipv6(journal_.link.name)) {
          say("without IPv6: switching forwarding on would delete this host's default route, which a router has "
              "advertised; "
              "set net.ipv6.conf.LINK.accept_ra = 2 for the link it is at");
        }
        continue;
      }
      forwarded_.push_back(family);
      auto before = settings_before_forwarding(family);
      for (const SandboxJournal& other : others) {
        const auto theirs = settings_of(other.settings, family);
        if (other.where == journal_.where && !theirs.empty()) before = theirs;
      }
      journal_.settings.insert(journal_.settings.end(), before.begin(), before.end());
    }
  }
  if (wish.way == Way::Bridge) {
    for (const SandboxJournal& other : others) {
      if (other.where == journal_.where && other.bridge && other.bridge->name == wish.bridge)
        journal_.bridge = other.bridge;
    }
    // A port's address, so that the kernel's choice is known before there is a bridge: the lowest of its ports'.
    if (!find_link(wish.bridge)) journal_.bridge = MadeBridge{wish.bridge, find_link(journal_.link.name)->mac};
  }
  step("write the journal");
  journals_.write(journal_);
  if (journal_.bridge && !find_link(wish.bridge)) {
    step("make the bridge");
    Netlink netlink;
    netlink.add_bridge({.name = wish.bridge, .mtu = 1500, .has_stp = false, .mac = journal_.bridge->mac});
    step("bring the bridge up");
    netlink.set_up(find_link(wish.bridge).value_or(LinkDetails{}).name.index, true);
  }
}

void Connection::join_bridge(const std::string& name) {
  step("put the end outside into the bridge");
  const auto bridge = find_link(name);
  if (!bridge) throw std::system_error(ENODEV, std::system_category(), "looking for bridge " + name);
  if (bridge->kind != "bridge") {
    throw std::invalid_argument("--bridge: " + name + " is no bridge" +
                                (bridge->kind.empty() ? std::string() : " but a " + bridge->kind) +
                                "; name another, one that is missing is made");
  }
  if (!bridge->is_up) say("bridge " + name + " is down and carries nothing: ip link set " + name + " up");
  Netlink().set_master(journal_.link.index, bridge->name.index);
}

void Connection::filter(const ConnectionWish& wish) {
  step("add rules to the packet filter");
  const std::string error = run_nft(wish.way == Way::Nat ? masquerading_commands(journal_.link.name, addresses_.inside)
                                                         : closing_commands(journal_.link.name));
  if (error.empty()) return;
  throw std::runtime_error("cannot add table " + forwarding_table_of(journal_.link.name) + " to the packet filter: " +
                           error + " (the kernel needs nftables" + (wish.way == Way::Nat ? " with nat and ct)" : ")"));
}

void Connection::address_outside(const ConnectionWish& wish) {
  step("address the end outside");
  if (wish.way == Way::Bridge) {
    // The bridge speaks for it.
    if (has_ipv6(journal_.link.name)) write_sysctl("net/ipv6/conf/" + journal_.link.name + "/disable_ipv6", "1");
  } else {
    add_addresses(journal_.link.index, journal_.link.name, addresses_.outside);
  }
  step("bring the end outside up");
  Netlink().set_up(journal_.link.index, true);
}

void Connection::address_inside(const ConnectionWish& wish, const NetworkNamespace& inside) {
  const ScopedNamespace there(inside);
  Netlink netlink;
  step("address the end inside");
  inner_index_ = find_link(inner_link_name).value_or(LinkDetails{}).name.index;
  if (wish.way == Way::Bridge) {
    // Others are in the bridge: addresses are looked for there before use.
    for (const Prefix& address : addresses_.inside) netlink.add_address(inner_index_, address);
  } else {
    add_addresses(inner_index_, inner_link_name, addresses_.inside);
  }
  step("bring the end inside up");
  netlink.set_up(inner_index_, true);
  std::vector<Address> gateways = wish.gateways;
  for (const Family family : forwarded_) {
    const auto is_of_family = [&](const Prefix& outside) { return outside.address.family() == family; };
    const auto gateway = std::ranges::find_if(addresses_.outside, is_of_family);
    if (gateway != addresses_.outside.end()) gateways.push_back(gateway->address);
  }
  for (const Address& gateway : gateways) {
    step("add a default route inside");
    netlink.add_default_route(inner_index_, gateway);
  }
}

void Connection::forward() {
  for (const Family family : forwarded_) {
    step("switch forwarding on");
    switch_forwarding_on(family);
  }
}

void Connection::await_readiness(const ConnectionWish& wish, const NetworkNamespace& inside) {
  step("wait for the link");
  // In a bridge duplicate address detection takes its time, also for an address that nobody has asked for.
  const bool is_with_ipv6 = wish.way != Way::Bridge || has_family(addresses_.inside, Family::V6);
  const auto is_ready = [&](const std::string& name, std::uint32_t index) {
    Netlink netlink;
    const auto link = netlink.find_link(name);
    return link && link->is_running && !(is_with_ipv6 && netlink.has_tentative_address(index));
  };
  constexpr auto pause = std::chrono::milliseconds(5);
  for (auto patience = std::chrono::milliseconds(5000); patience > pause; patience -= pause) {
    bool is_done = is_ready(journal_.link.name, journal_.link.index);
    {
      const ScopedNamespace there(inside);
      is_done = is_done && is_ready(inner_link_name, inner_index_);
    }
    if (is_done) return;
    std::this_thread::sleep_for(pause);
  }
}

void Connection::take_back() noexcept {
  if (journal_.link.index == 0) return;
  const SaySandbox& told = options_.say;
  attempt(told, journal_.link.name, [&] {
    const ScopedNamespace there(outside_);
    const UniqueFd lock = journals_.lock();
    take_back_at_host(journal_, journals_.others(journal_, told), told);
    journals_.remove(journal_);
  });
}

void Connection::step(std::string_view what) const {
  if (options_.before_step) options_.before_step(what);
}

void Connection::say(const std::string& text) const {
  if (options_.say) options_.say(text);
}

void take_back_leftovers(const ConnectionOptions& options) noexcept {
  if (::access(options.folder.c_str(), F_OK) != 0) return;
  attempt(options.say, options.folder, [&] {
    const std::uint64_t space = own_process_space();
    const SandboxJournals journals(options.folder);
    // What somebody who is stopped, or a sandbox that is just being made, keeps from being undone waits for the next.
    constexpr unsigned patience = 200;
    const auto lock = journals.try_lock_for(patience);
    if (!lock) return;
    for (const SandboxJournal& left : journals.others({}, options.say)) {
      // Whether one in another PID namespace lives, a sandbox's or a container's with the same /run, is not to be seen.
      if (left.process_space != space || left.owner.is_alive()) continue;
      attempt(options.say, left.link.name, [&] {
        // With a namespace went everything in it.
        if (const auto where = find_namespace(left.where, {})) {
          const ScopedNamespace there(*where);
          take_back_at_host(left, journals.others(left, options.say), options.say);
        }
        journals.remove(left);
      });
    }
  });
}

}  // namespace culvert
