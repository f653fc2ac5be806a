// Talking to resolvconf and resolvectl: argument lists and standard input, never a shell.
#include "culvert/quick/dns.hpp"

#include <net/if.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <stdexcept>

#include "culvert/base/address.hpp"

namespace culvert {

namespace {

std::optional<std::string> first_program(const std::vector<std::string>& paths) {
  const auto found =
      std::ranges::find_if(paths, [](const std::string& path) { return ::access(path.c_str(), X_OK) == 0; });
  if (found == paths.end()) return std::nullopt;
  return *found;
}

bool is_served(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) return false;
  std::ranges::copy(path, address.sun_path);
  const UniqueFd client(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  return ::connect(client.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
}

// Debian's resolvconf ranks interfaces by patterns of their names, such as "tun*": with the first of these as its
// prefix a tunnel's servers come first, as wg-quick does it.
std::string resolvconf_name_of(const std::string& device, const std::string& interface_order) {
  std::ifstream file(interface_order);
  for (std::string line; std::getline(file, line);) {
    if (line.size() < 2 || !line.ends_with('*')) continue;
    line.pop_back();
    const bool is_plain = std::ranges::all_of(line, [](char c) {
      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-';
    });
    if (is_plain) return line + "." + device;
  }
  return device;
}

void require_success(int status, const std::vector<std::string>& argv) {
  if (status == 0) return;
  std::string text;
  for (const std::string& word : argv) text += (text.empty() ? "" : " ") + word;
  throw std::runtime_error(text + " ended with status " + std::to_string(status));
}

void run_checked(ProgramRunner& runner, std::vector<std::string> argv, const std::optional<std::string>& input = {}) {
  require_success(runner.run(argv, input), argv);
}

bool is_server(const std::string& entry) {
  return Address::parse(entry).has_value();
}

}  // namespace

std::optional<Undo> plan_dns(const std::string& device, const DnsPrograms& programs) {
  if (first_program(programs.resolvconf)) {
    return RemoveFromResolvconf{resolvconf_name_of(device, programs.interface_order)};
  }
  if (first_program(programs.resolvectl) && is_served(programs.resolved_socket)) return RevertResolved{device};
  return std::nullopt;
}

void set_dns(const Undo& plan, const std::vector<std::string>& entries, ProgramRunner& runner,
             const DnsPrograms& programs) {
  std::string servers;
  std::string domains;
  std::vector<std::string> server_words;
  std::vector<std::string> domain_words{"~."};
  for (const std::string& entry : entries) {
    if (is_server(entry)) {
      servers += "nameserver " + entry + "\n";
      server_words.push_back(entry);
    } else {
      domains += " " + entry;
      domain_words.push_back(entry);
    }
  }
  if (const auto* by_resolvconf = std::get_if<RemoveFromResolvconf>(&plan)) {
    run_checked(runner, {*first_program(programs.resolvconf), "-a", by_resolvconf->name, "-m", "0", "-x"},
                servers + (domains.empty() ? "" : "search" + domains + "\n"));
    return;
  }
  const std::string program = first_program(programs.resolvectl).value_or("resolvectl");
  const std::string& device = std::get<RevertResolved>(plan).device;
  const auto tell = [&](const char* what, const std::vector<std::string>& words) {
    std::vector<std::string> argv{program, what, device};
    argv.insert(argv.end(), words.begin(), words.end());
    run_checked(runner, std::move(argv));
  };
  if (!server_words.empty()) tell("dns", server_words);
  tell("domain", domain_words);
}

void unset_resolvconf(const std::string& name, ProgramRunner& runner, const DnsPrograms& programs) {
  const auto program = first_program(programs.resolvconf);
  if (!program) return;
  run_checked(runner, {*program, "-d", name, "-f"});
}

void unset_resolved(const std::string& device, ProgramRunner& runner, const DnsPrograms& programs) {
  const auto program = first_program(programs.resolvectl);
  // It forgets a link that is gone by itself.
  if (!program || ::if_nametoindex(device.c_str()) == 0 || !is_served(programs.resolved_socket)) return;
  run_checked(runner, {*program, "revert", device});
}

}  // namespace culvert
