// The rules as commands of nft(8).
#include "culvert/quick/firewall.hpp"

#include <stdexcept>

#include "culvert/io/packet_filter.hpp"

namespace culvert {

namespace {

const char* word_for(Family family) noexcept {
  return family == Family::V4 ? "ip" : "ip6";
}

// A device's name may have what the name of a table may not.
std::string table_of(Family family, const std::string& device) {
  std::string name = std::string(word_for(family)) + " culvert-";
  for (const char c : device) {
    if (c == '=') {
      name += "_3d";
    } else if (c == '+') {
      name += "_2b";
    } else {
      name += c;
    }
  }
  return name;
}

}  // namespace

std::string firewall_commands(Family family, const std::string& device, std::span<const Prefix> addresses,
                              std::uint32_t mark) {
  const std::string ip = word_for(family);
  const std::string table = table_of(family, device);
  const std::string number = std::to_string(mark);
  // Added first so that there is one to delete.
  std::string commands = "add table " + table + "\ndelete table " + table + "\nadd table " + table + "\n";
  commands += "add chain " + table + " preraw { type filter hook prerouting priority -300; }\n";
  commands += "add chain " + table + " premangle { type filter hook prerouting priority -150; }\n";
  commands += "add chain " + table + " postmangle { type filter hook postrouting priority -150; }\n";
  for (const Prefix& prefix : addresses) {
    if (prefix.address.family() != family) continue;
    commands += "add rule " + table + " preraw iifname != \"" + device + "\" " + ip + " daddr " +
                prefix.address.to_string() + " fib saddr type != local drop\n";
  }
  commands += "add rule " + table + " postmangle meta l4proto udp meta mark " + number + " ct mark set meta mark\n";
  commands += "add rule " + table + " premangle meta l4proto udp meta mark set ct mark\n";
  return commands;
}

void add_firewall(Family family, const std::string& device, std::span<const Prefix> addresses, std::uint32_t mark) {
  const std::string error = run_nft(firewall_commands(family, device, addresses, mark));
  if (!error.empty()) {
    throw std::runtime_error(
        "cannot add table " + table_of(family, device) + " to the packet filter: " + error +
        " (the kernel needs nftables with fib and ct; or set the routes yourself with Table = off)");
  }
}

void remove_firewall(Family family, const std::string& device) {
  remove_nft_table(table_of(family, device));
}

}  // namespace culvert
