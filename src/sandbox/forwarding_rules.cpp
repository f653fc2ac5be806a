// The rules as commands of nft(8).
#include "culvert/sandbox/forwarding_rules.hpp"

#include <tuple>

namespace culvert {

namespace {

// Hooks "forward" at the priority of filters, "postrouting" at that of source NAT: all later than anybody's DNAT.
std::string new_table(const std::string& table) {
  // Added first so that there is one to delete.
  return "add table " + table + "\ndelete table " + table + "\nadd table " + table + "\n" + "add chain " + table +
         " forward { type filter hook forward priority 0; }\n";
}

std::string quoted(const std::string& link) {
  return "\"" + link + "\"";
}

/// "{ 10.213.0.2, … }"; empty if there is none of the family.
std::string set_of(std::span<const Prefix> prefixes, Family family) {
  std::string set;
  for (const Prefix& prefix : prefixes) {
    if (prefix.address.family() != family) continue;
    set.append(set.empty() ? "{ " : ", ").append(prefix.address.to_string());
  }
  return set.empty() ? set : set + " }";
}

}  // namespace

std::string forwarding_table_of(const std::string& outer_link) {
  return "inet culvert-" + outer_link;
}

std::string closing_commands(const std::string& outer_link) {
  const std::string table = forwarding_table_of(outer_link);
  const std::string rule = "add rule " + table + " forward ";
  return new_table(table) + rule + "iifname " + quoted(outer_link) + " drop\n" + rule + "oifname " +
         quoted(outer_link) + " drop\n";
}

std::string masquerading_commands(const std::string& outer_link, std::span<const Prefix> inside) {
  const std::string table = forwarding_table_of(outer_link);
  const std::string link = quoted(outer_link);
  std::string commands = new_table(table);
  commands += "add chain " + table + " postrouting { type nat hook postrouting priority 100; }\n";
  for (const auto& [family, ip, protocol] :
       {std::tuple{Family::V4, "ip", "ipv4"}, std::tuple{Family::V6, "ip6", "ipv6"}}) {
    const std::string addresses = set_of(inside, family);
    const std::string from = "iifname " + link + " meta nfproto " + protocol;
    if (addresses.empty()) {
      commands += "add rule " + table + " forward " + from + " drop\n";
      continue;
    }
    commands += "add rule " + table + " forward " + from + " " + ip + " saddr != " + addresses + " drop\n";
    commands +=
        "add rule " + table + " postrouting oifname != " + link + " " + ip + " saddr " + addresses + " masquerade\n";
  }
  commands += "add rule " + table + " forward oifname " + link + " ct state { new, invalid, untracked } drop\n";
  return commands;
}

}  // namespace culvert
