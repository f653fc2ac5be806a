// Making and removing veth pairs.
#include "culvert/netns/veth_pair.hpp"

#include <algorithm>
#include <cerrno>
#include <set>
#include <stdexcept>
#include <system_error>

namespace culvert {

namespace {

// Somebody else may take a default name in the moment between choosing and making.
constexpr unsigned most_attempts = 16;

std::set<std::string> names_at(Netlink& netlink) {
  std::set<std::string> names;
  for (InterfaceFacts& facts : netlink.interfaces()) names.insert(std::move(facts.name.name));
  return names;
}

std::string take_free_name(std::set<std::string>& taken) {
  for (unsigned number = 0;; ++number) {
    std::string name = "veth" + std::to_string(number);
    if (taken.insert(name).second) return name;
  }
}

void make_in(Netlink& left_link, Netlink& right_link, const VethEndWish& left, const VethEndWish& right,
             VethSettings& settings) {
  const bool is_one_namespace = left.space.identity() == right.space.identity();
  for (unsigned attempt = 1;; ++attempt) {
    std::set<std::string> at_left = names_at(left_link);
    std::set<std::string> at_right = names_at(right_link);
    if (is_one_namespace) at_left.insert(right.name);
    settings.name = left.name.empty() ? take_free_name(at_left) : left.name;
    if (is_one_namespace) at_right.insert(settings.name);
    settings.peer_name = right.name.empty() ? take_free_name(at_right) : right.name;
    try {
      left_link.add_veth(settings);
      return;
    } catch (const std::system_error& error) {
      const bool has_choice = left.name.empty() || right.name.empty();
      if (error.code() != std::errc::file_exists || !has_choice || attempt == most_attempts) throw;
    }
  }
}

}  // namespace

VethPair VethPair::make(const VethEndWish& left, const VethEndWish& right, std::optional<std::uint32_t> mtu,
                        std::uint32_t group) {
  for (const VethEndWish* const wish : {&left, &right}) {
    if (!wish->name.empty()) check_interface_name(wish->name);
  }
  const NamespaceIdentity left_home = left.space.identity();
  const NamespaceIdentity right_home = right.space.identity();
  if (!left.name.empty() && left.name == right.name && left_home == right_home) {
    throw std::invalid_argument("interface name '" + left.name + "': two in one network namespace cannot share it");
  }
  Netlink left_link = netlink_in(left.space);
  Netlink right_link = netlink_in(right.space);
  if (!left.name.empty()) require_free_name(left_link, left.space, left.name);
  if (!right.name.empty()) require_free_name(right_link, right.space, right.name);

  VethSettings settings{.name = {}, .peer_name = {}, .peer_namespace = right.space.fd(), .mtu = mtu, .group = group};
  in_words_of(left.space, [&] { make_in(left_link, right_link, left, right, settings); });
  const InterfaceFacts made = require_interface(left_link, left.space, settings.name);
  // The kernel leaves out the number of the other end where it is the same, but for the newest ones.
  const std::uint32_t other = made.other != 0 ? made.other : made.name.index;
  return {{{{left_home, made.name.index}, settings.name}, std::move(left_link)},
          {{{right_home, other}, settings.peer_name}, std::move(right_link)}};
}

VethPair::VethPair(VethPair&& other) noexcept : left_(std::move(other.left_)), right_(std::move(other.right_)) {
  other.keep();
}

VethPair::~VethPair() {
  if (!remove(left_, right_)) remove(right_, left_);
}

// Only what still is that end, and not an interface that got its number.
bool VethPair::remove(Side& side, const Side& other) noexcept {
  if (!side.netlink) return true;
  try {
    const auto is_it = [&](const InterfaceFacts& facts) {
      const std::uint32_t far = facts.other != 0 ? facts.other : facts.name.index;
      return facts.name.index == side.end.interface.index && facts.kind == "veth" && far == other.end.interface.index;
    };
    const std::vector<InterfaceFacts> all = side.netlink->interfaces();
    if (std::ranges::none_of(all, is_it)) return false;
    side.netlink->remove_link(side.end.interface.index);
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

}  // namespace culvert
