// A host name asked of the system's resolvers.
#include "resolver.hpp"

#include <ares.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <resolv.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <span>

#include "culvert/io/socket_address.hpp"

namespace culvert {
namespace {

void add(FoundEndpoints& found, const sockaddr* address, std::size_t size, std::uint16_t port) {
  sockaddr_storage copy{};
  const std::size_t used = std::min(size, sizeof copy);
  std::memcpy(&copy, address, used);
  auto endpoint = from_socket_address(copy, static_cast<socklen_t>(used));
  if (!endpoint) return;
  endpoint->port = port;
  if (std::ranges::find(found.endpoints, *endpoint) == found.endpoints.end()) found.endpoints.push_back(*endpoint);
}

FoundEndpoints ask_libc(const std::string& host, std::uint16_t port, int flags) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_DGRAM;
  hints.ai_flags = flags;
  addrinfo* first = nullptr;
  FoundEndpoints found;
  if (const int status = ::getaddrinfo(host.c_str(), nullptr, &hints, &first); status != 0) {
    found.error = ::gai_strerror(status);
    return found;
  }
  for (const addrinfo* entry = first; entry; entry = entry->ai_next)
    add(found, entry->ai_addr, entry->ai_addrlen, port);
  ::freeaddrinfo(first);
  if (found.endpoints.empty()) found.error = "no usable address";
  return found;
}

/// The families to ask for: those the machine has an address of that reaches beyond it, as AI_ADDRCONFIG has it
/// (getaddrinfo(3)), which c-ares knows by name only.
int family_to_ask_for() {
  ifaddrs* first = nullptr;
  if (::getifaddrs(&first) != 0) return AF_UNSPEC;
  bool has_v4 = false;
  bool has_v6 = false;
  for (const ifaddrs* entry = first; entry; entry = entry->ifa_next) {
    if (!entry->ifa_addr) continue;
    sockaddr_storage address{};
    const bool is_v4 = entry->ifa_addr->sa_family == AF_INET;
    if (!is_v4 && entry->ifa_addr->sa_family != AF_INET6) continue;
    const std::size_t size = is_v4 ? sizeof(sockaddr_in) : sizeof(sockaddr_in6);
    std::memcpy(&address, entry->ifa_addr, size);
    const auto own = from_socket_address(address, static_cast<socklen_t>(size));
    if (!own || own->address == *Address::parse("127.0.0.1") || own->address == *Address::parse("::1")) continue;
    (is_v4 ? has_v4 : has_v6) = true;
  }
  ::freeifaddrs(first);
  if (has_v4 == has_v6) return AF_UNSPEC;
  return has_v4 ? AF_INET : AF_INET6;
}

struct ChannelDeleter {
  void operator()(ares_channel channel) const noexcept { ::ares_destroy(channel); }
};
using Channel = std::unique_ptr<ares_channeldata, ChannelDeleter>;

/// A new one for each question, so that it reads the configuration of now.
Channel open_channel() {
  ares_options options{};
  int mask = 0;
  // c-ares passes over timeout: and attempts: of resolv.conf(5), and waits for more than a minute.
  struct __res_state configured {};
  if (::res_ninit(&configured) == 0) {
    options.timeout = configured.retrans * 1000;
    options.tries = configured.retry;
    mask = ARES_OPT_TIMEOUTMS | ARES_OPT_TRIES;
    ::res_nclose(&configured);
  }
  ares_channel channel = nullptr;
  if (::ares_init_options(&channel, &options, mask) != ARES_SUCCESS) return nullptr;
  return Channel(channel);
}

/// Waits for whatever the channel waits for, and has it go on.
void wait_and_process(ares_channel channel) {
  std::array<ares_socket_t, ARES_GETSOCK_MAXNUM> sockets{};
  const auto wanted = static_cast<unsigned>(::ares_getsock(channel, sockets.data(), ARES_GETSOCK_MAXNUM));
  std::array<pollfd, ARES_GETSOCK_MAXNUM> polled{};
  nfds_t count = 0;
  for (unsigned i = 0; i < sockets.size(); ++i) {
    const bool reads = (wanted >> i) & 1;
    const bool writes = (wanted >> (i + ARES_GETSOCK_MAXNUM)) & 1;
    if (!reads && !writes) continue;
    const int events = (reads ? POLLIN : 0) | (writes ? POLLOUT : 0);
    polled[count++] = {sockets[i], static_cast<short>(events), 0};
  }
  timeval most{1, 0};
  timeval left{};
  const timeval* wait = ::ares_timeout(channel, &most, &left);
  const auto milliseconds = static_cast<int>(wait->tv_sec * 1000 + wait->tv_usec / 1000 + 1);
  (void)::poll(polled.data(), count, milliseconds);
  bool is_any_ready = false;
  for (const pollfd& each : std::span(polled).first(count)) {
    if (each.revents == 0) continue;
    is_any_ready = true;
    const bool is_readable = (each.revents & ~POLLOUT) != 0;
    ::ares_process_fd(channel, is_readable ? each.fd : ARES_SOCKET_BAD,
                      (each.revents & POLLOUT) != 0 ? each.fd : ARES_SOCKET_BAD);
  }
  if (!is_any_ready) ::ares_process_fd(channel, ARES_SOCKET_BAD, ARES_SOCKET_BAD);
}

FoundEndpoints ask_servers(const std::string& host, std::uint16_t port) {
  struct Question {
    std::uint16_t port;
    bool is_answered = false;
    FoundEndpoints found;
  } question{port, false, {}};
  const Channel channel = open_channel();
  if (!channel) return {};

  ares_addrinfo_hints hints{};
  hints.ai_family = family_to_ask_for();
  hints.ai_socktype = SOCK_DGRAM;
  const auto answered = [](void* context, int status, int, ares_addrinfo* answer) {
    auto& asked = *static_cast<Question*>(context);
    asked.is_answered = true;
    if (status != ARES_SUCCESS) return;
    int ttl = lookup_lifetime_max.count();
    for (const ares_addrinfo_cname* alias = answer->cnames; alias; alias = alias->next) ttl = std::min(ttl, alias->ttl);
    for (const ares_addrinfo_node* node = answer->nodes; node; node = node->ai_next) {
      ttl = std::min(ttl, node->ai_ttl);
      add(asked.found, node->ai_addr, node->ai_addrlen, asked.port);
    }
    asked.found.lifetime = std::chrono::seconds(ttl);
    ::ares_freeaddrinfo(answer);
  };
  ::ares_getaddrinfo(channel.get(), host.c_str(), nullptr, &hints, answered, &question);
  while (!question.is_answered) wait_and_process(channel.get());
  return std::move(question.found);
}

}  // namespace

FoundEndpoints resolve(const std::string& host, std::uint16_t port) {
  // An address, perhaps with the name of an interface as its scope.
  FoundEndpoints found = ask_libc(host, port, AI_NUMERICHOST);
  found.lifetime = lookup_lifetime_max;
  if (found.endpoints.empty()) found = ask_servers(host, port);
  if (found.endpoints.empty()) {
    found = ask_libc(host, port, AI_ADDRCONFIG);
    found.lifetime = lookup_lifetime_unknown;
  }
  found.lifetime = std::clamp(found.lifetime, lookup_lifetime_min, lookup_lifetime_max);
  return found;
}

}  // namespace culvert
