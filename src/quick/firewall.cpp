// nftables through libnftables.
#include "culvert/quick/firewall.hpp"

#include <nftables/libnftables.h>

#include <memory>
#include <new>
#include <stdexcept>

#include "culvert/base/printable.hpp"

namespace culvert {

namespace {

struct FreeContext {
  void operator()(nft_ctx* context) const noexcept { nft_ctx_free(context); }
};

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

// Returns what nft says of an error, empty without one.
std::string run_commands(const std::string& commands) {
  const std::unique_ptr<nft_ctx, FreeContext> context(nft_ctx_new(NFT_CTX_DEFAULT));
  if (!context || nft_ctx_buffer_error(context.get()) != 0 || nft_ctx_buffer_output(context.get()) != 0) {
    throw std::bad_alloc();
  }
  if (nft_run_cmd_from_buffer(context.get(), commands.c_str()) == 0) return {};
  const std::string said = nft_ctx_get_error_buffer(context.get());
  return said.empty() ? "nftables refused it" : printable(said.substr(0, said.find('\n')));
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
  const std::string error = run_commands(firewall_commands(family, device, addresses, mark));
  if (!error.empty()) {
    throw std::runtime_error(
        "cannot add table " + table_of(family, device) + " to the packet filter: " + error +
        " (the kernel needs nftables with fib and ct; or set the routes yourself with Table = off)");
  }
}

void remove_firewall(Family family, const std::string& device) {
  const std::string table = table_of(family, device);
  if (!run_commands("list table " + table + "\n").empty()) return;
  const std::string error = run_commands("delete table " + table + "\n");
  if (!error.empty()) throw std::runtime_error("cannot remove table " + table + " from the packet filter: " + error);
}

}  // namespace culvert
