// From NIC to bridge, step by step.
#include "culvert/bridge/attachment.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <exception>
#include <system_error>
#include <thread>

#include "culvert/io/clock.hpp"
#include "culvert/io/ingress_redirect.hpp"
#include "culvert/io/sysctl.hpp"
#include "dummy_address.hpp"
#include "moving.hpp"

namespace culvert {

namespace {

constexpr std::string_view v4 = "net/ipv4/conf/";
constexpr std::string_view v6 = "net/ipv6/conf/";

// What a port must not do, lest it answers for itself beside the bridge: make a link-local address, listen to routers.
constexpr std::array<std::pair<std::string_view, std::string_view>, 2> port_settings{
    {{"addr_gen_mode", "1"}, {"accept_ra", "0"}}};
// What a bridge takes over from its NIC, as far as the kernel has it. addr_gen_mode and rp_filter come last.
constexpr std::array<std::string_view, 9> copied_v4{"forwarding",   "accept_redirects", "send_redirects",
                                                    "arp_ignore",   "arp_announce",     "arp_filter",
                                                    "accept_local", "proxy_arp",        "route_localnet"};
constexpr std::array<std::string_view, 7> copied_v6{"disable_ipv6", "forwarding",   "accept_redirects", "accept_ra",
                                                    "autoconf",     "use_tempaddr", "proxy_ndp"};

std::optional<std::string> setting(std::string_view family, const std::string& link, std::string_view key) {
  try {
    return read_sysctl(std::string(family) + link + "/" + std::string(key));
  } catch (const std::system_error&) {
    // A kernel without it, or without the family.
    return std::nullopt;
  }
}

void copy_setting(std::string_view family, const std::string& from, const std::string& to, std::string_view key) {
  const auto wanted = setting(family, from, key);
  if (wanted && wanted != setting(family, to, key)) {
    write_sysctl(std::string(family) + to + "/" + std::string(key), *wanted);
  }
}

void set_if_there(std::string_view family, const std::string& link, std::string_view key, const std::string& value) {
  const auto present = setting(family, link, key);
  if (present && present != value) write_sysctl(std::string(family) + link + "/" + std::string(key), value);
}

class Attachment {
 public:
  Attachment(BridgeJournal& journal, const BridgeJournals& folder, const BridgeStep& before_step)
      : journal_(journal), folder_(folder), before_step_(before_step) {}

  void run(bool has_stp) {
    if (journal_.is_own_bridge) make_bridge(has_stp);
    {
      step("give " + journal_.bridge.name + " a dummy address");
      const DummyAddress dummy(netlink_, journal_);
      make_port();
      if (journal_.is_own_bridge) {
        await_carrier();
        move_addresses();
      }
      step("take the dummy address from " + journal_.bridge.name);
    }
    if (journal_.is_own_bridge) {
      announce();
      move_rest();
      clear_nic();
      settle();
    }
    for (const LinkName& tap : journal_.taps) add_tap(tap);
  }

 private:
  void step(const std::string& what) const {
    if (before_step_) before_step_(what);
  }

  void make_bridge(bool has_stp) {
    const LinkName& nic = journal_.nic;
    step("make " + journal_.bridge.name);
    netlink_.add_bridge({journal_.bridge.name, journal_.before.mtu, has_stp, journal_.bridge_mac});
    const auto made = netlink_.find_link(journal_.bridge.name);
    if (!made) throw std::system_error(ENODEV, std::system_category(), "making " + journal_.bridge.name);
    step("note the number of " + journal_.bridge.name);
    journal_.bridge.index = made->index;
    folder_.write(journal_);
    step("pin MAC address and MTU of " + journal_.bridge.name);
    netlink_.pin_bridge(journal_.bridge.index, journal_.bridge_mac);
    step("copy settings to " + journal_.bridge.name);
    const std::string& name = journal_.bridge.name;
    for (const std::string_view key : copied_v4) copy_setting(v4, nic.name, name, key);
    for (const std::string_view key : copied_v6) copy_setting(v6, nic.name, name, key);
    // No address of its own beside those that come; and what arrives by the bridge while routes still lead to the NIC
    // is no forgery.
    set_if_there(v6, name, "addr_gen_mode", "1");
    set_if_there(v4, name, "rp_filter", "2");
    step("bring " + name + " up");
    netlink_.set_up(journal_.bridge.index, true);
  }

  // A port that is not yet forwarding drops what arrives (br_handle_frame in net/bridge/br_input.c); so, where the
  // kernel can do that, it goes around the port.
  void make_port() {
    const LinkName& nic = journal_.nic;
    for (const KernelSetting& before : journal_.before.settings) {
      step("set " + before.name);
      write_sysctl(before.name, port_value_of(before.name));
    }
    if (!journal_.before.is_up) {
      step("bring " + nic.name + " up");
      netlink_.set_up(nic.index, true);
    }
    if (!journal_.is_own_bridge) {
      step("pin MAC address and MTU of " + journal_.bridge.name);
      netlink_.pin_bridge(journal_.bridge.index, journal_.bridge_mac);
    }
    step("put " + nic.name + " into " + journal_.bridge.name);
    const auto around_the_port = IngressRedirect::begin(nic.index, journal_.bridge.index);
    netlink_.set_master(nic.index, journal_.bridge.index);
  }

  // The kernel drops what a link shall send until it has got round to its carrier (net/core/link_watch.c), which for a
  // bridge comes with its first port. With spanning tree that is in half a minute; without, in a moment.
  void await_carrier() {
    constexpr auto pause = std::chrono::milliseconds(1);
    for (auto left = std::chrono::milliseconds(300); left > pause; left -= pause) {
      const auto link = netlink_.find_link(journal_.bridge.name);
      if (!link || link->is_running) return;
      std::this_thread::sleep_for(pause);
    }
  }

  void move_addresses() {
    for_each(NetworkObject::Kind::Address, [&](const NetworkObject& object) {
      step("add " + describe(object) + " to " + journal_.bridge.name);
      add_at_once(netlink_, object, AddMode::Exclusive);
    });
    await_addresses(netlink_, journal_.bridge.index);
  }

  // Their caches say the right thing already, unless the bridge has taken a NIC's place before; switches on the way
  // hear of it in any case.
  void announce() {
    const std::string& name = journal_.bridge.name;
    step("announce the addresses on " + name);
    set_if_there(v4, name, "arp_notify", "1");
    set_if_there(v6, name, "ndisc_notify", "1");
    netlink_.set_mac(journal_.bridge.index, journal_.bridge_mac);
    set_if_there(v4, name, "arp_notify", "0");
    set_if_there(v6, name, "ndisc_notify", "0");
  }

  void move_rest() {
    step("share the neighbours of " + journal_.nic.name);
    netlink_.share_neighbours(journal_.nic.index, journal_.bridge.index);
    for (const auto kind : {NetworkObject::Kind::Neighbour, NetworkObject::Kind::Rule, NetworkObject::Kind::Route}) {
      for_each(kind, [&](const NetworkObject& object) {
        step("move " + describe(object) + " to " + journal_.bridge.name);
        netlink_.add(object, kind == NetworkObject::Kind::Route ? AddMode::Replace : AddMode::Exclusive);
      });
    }
  }

  void clear_nic() {
    // Those that are beside another of their network go first, so that none goes with the other.
    const auto& objects = journal_.before.objects;
    for (auto object = objects.rbegin(); object != objects.rend(); ++object) {
      step("take " + describe(*object) + " from " + journal_.nic.name);
      netlink_.remove(*object);
    }
  }

  void settle() {
    step("settle " + journal_.bridge.name);
    const std::string& nic = journal_.nic.name;
    for (const KernelSetting& before : journal_.before.settings) {
      if (!before.name.ends_with("/addr_gen_mode")) continue;
      // Stable privacy (2) needs a secret that the bridge has not.
      if (before.value != "2") set_if_there(v6, journal_.bridge.name, "addr_gen_mode", before.value);
    }
    copy_setting(v4, nic, journal_.bridge.name, "rp_filter");
  }

  void add_tap(const LinkName& tap) {
    step("put " + tap.name + " into " + journal_.bridge.name);
    netlink_.set_up(tap.index, true);
    netlink_.set_master(tap.index, journal_.bridge.index);
  }

  template <class Act>
  void for_each(NetworkObject::Kind kind, Act act) {
    const auto elapsed = std::chrono::duration_cast<std::chrono::seconds>(read_clocks().time - journal_.before.taken);
    for (const NetworkObject& object : journal_.before.objects) {
      if (object.kind != kind) continue;
      if (const auto there = aged(moved(object, journal_.nic, journal_.bridge), elapsed)) act(*there);
    }
  }

  BridgeJournal& journal_;
  const BridgeJournals& folder_;
  const BridgeStep& before_step_;
  Netlink netlink_;
};

bool has_link_local_address(Netlink& netlink, std::uint32_t link) {
  const Prefix link_local = Prefix::parse("fe80::/10").value();
  const std::vector<Prefix> addresses = netlink.addresses(link);
  return std::ranges::any_of(addresses, [&](const Prefix& prefix) { return link_local.contains(prefix.address); });
}

void send_something(std::uint32_t link, const Address& gateway) {
  constexpr std::uint16_t discard = 9;  // RFC 863
  sockaddr_in6 to{};
  to.sin6_family = AF_INET6;
  to.sin6_port = htons(discard);
  to.sin6_scope_id = link;
  std::memcpy(&to.sin6_addr, gateway.bytes().data(), sizeof to.sin6_addr);
  const UniqueFd socket(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  const std::uint32_t by = htonl(link);
  ::setsockopt(socket.get(), SOL_IPV6, IPV6_UNICAST_IF, &by, sizeof by);
  ::sendto(socket.get(), nullptr, 0, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to);
}

constexpr auto question_pause = std::chrono::milliseconds(10);
constexpr auto question_interval = std::chrono::milliseconds(1000);

void ask(Netlink& netlink, std::uint32_t link, const Address& gateway) {
  try {
    // The kernel itself asks an IPv6 neighbour from a link-local address alone, which a link may lack; for a datagram
    // to somebody unknown it asks from the datagram's source.
    if (gateway.is_v4() || has_link_local_address(netlink, link)) {
      netlink.ask_neighbour(link, gateway);
    } else {
      netlink.forget_neighbour(link, gateway);
      send_something(link, gateway);
    }
  } catch (const std::system_error&) {
    // No way to ask is no answer.
  }
}

struct Answers {
  std::vector<Address> answered;
  std::vector<Address> silent;
};

Answers ask_all(std::uint32_t link, std::vector<Address> gateways, std::chrono::milliseconds patience) {
  Netlink netlink;
  Answers answers{{}, std::move(gateways)};
  for (std::chrono::milliseconds waited{0};; waited += question_pause) {
    // The kernel gives up after three seconds, before a bridge with spanning tree forwards the first question.
    if (waited % question_interval == std::chrono::milliseconds::zero()) {
      for (const Address& gateway : answers.silent) ask(netlink, link, gateway);
    }
    std::erase_if(answers.silent, [&](const Address& gateway) {
      const bool has_answered = netlink.has_answered(link, gateway);
      if (has_answered) answers.answered.push_back(gateway);
      return has_answered;
    });
    if (answers.silent.empty() || waited >= patience) return answers;
    std::this_thread::sleep_for(question_pause);
  }
}

}  // namespace

std::string port_value_of(const std::string& setting) {
  for (const auto& [key, value] : port_settings) {
    if (setting.ends_with(std::string("/").append(key))) return std::string(value);
  }
  return {};
}

void add_at_once(Netlink& netlink, const NetworkObject& object, AddMode mode) {
  const NetworkObject hasty = without_detection(object);
  netlink.add(hasty, mode);
  // It was known to be unique on this link a moment ago; what it is for good does not say so.
  if (hasty != object) netlink.add(object, AddMode::Replace);
}

void await_addresses(Netlink& netlink, std::uint32_t link) {
  constexpr auto pause = std::chrono::milliseconds(1);
  for (auto left = std::chrono::milliseconds(1000); left > pause && netlink.has_tentative_address(link);
       left -= pause) {
    std::this_thread::sleep_for(pause);
  }
}

BridgeJournal plan_attachment(const BridgeWish& wish, const BridgeFacts& facts) {
  const LinkDetails& nic = *facts.link(wish.nic);
  const LinkDetails* const bridge = facts.link(wish.bridge);
  BridgeJournal journal;
  journal.nic = nic.name;
  journal.bridge = bridge != nullptr ? bridge->name : LinkName{0, wish.bridge};
  journal.bridge_mac = bridge != nullptr ? bridge->mac : nic.mac;
  journal.is_own_bridge = bridge == nullptr;
  if (!wish.tap.empty()) journal.taps.push_back(facts.link(wish.tap)->name);
  journal.where = NetworkNamespace::current().identity();
  journal.applier = ProcessIdentity::self();
  journal.before.taken = read_clocks().time;
  journal.before.mtu = nic.mtu;
  journal.before.mac = nic.mac;
  journal.before.is_up = nic.is_up;
  for (const auto& [key, value] : port_settings) {
    const auto before = setting(v6, nic.name.name, key);
    if (!before || *before == value) continue;
    journal.before.settings.push_back({std::string(v6) + nic.name.name + "/" + std::string(key), *before});
  }
  // With a bridge that is there already the NIC has at most link-local addresses, which stay where they are.
  if (journal.is_own_bridge) journal.before.objects = facts.objects;
  return journal;
}

void attach(BridgeJournal& journal, const BridgeJournals& folder, bool has_stp, const BridgeStep& before_step) {
  Attachment(journal, folder, before_step).run(has_stp);
}

std::vector<Address> answering_gateways(const BridgeJournal& journal, std::chrono::milliseconds patience) {
  std::vector<Address> gateways;
  for (const NetworkObject& object : journal.before.objects) {
    for (const Address& gateway : gateways_at(object, journal.nic.index)) {
      if (std::ranges::find(gateways, gateway) == gateways.end()) gateways.push_back(gateway);
    }
  }
  return ask_all(journal.nic.index, std::move(gateways), patience).answered;
}

std::vector<Address> silent_gateways(const BridgeJournal& journal, std::vector<Address> gateways,
                                     std::chrono::milliseconds patience) {
  return ask_all(journal.bridge.index, std::move(gateways), patience).silent;
}

}  // namespace culvert
