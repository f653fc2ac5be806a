// A host name asked of the system's resolvers.
#include "resolver.hpp"

#include <ares.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netdb.h>
#include <netinet/in.h>
#include <poll.h>
#include <resolv.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <cstring>
#include <deque>
#include <memory>
#include <span>
#include <utility>

#include "culvert/io/socket_address.hpp"

namespace culvert {
namespace {

constexpr std::chrono::seconds head_start{1};
constexpr std::chrono::milliseconds wait_max{1000};

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

std::vector<Address> servers_of(ares_channel channel) {
  ares_addr_port_node* first = nullptr;
  std::vector<Address> servers;
  if (::ares_get_servers_ports(channel, &first) != ARES_SUCCESS) return servers;
  for (const ares_addr_port_node* node = first; node; node = node->next) {
    const auto* const bytes = reinterpret_cast<const std::byte*>(&node->addr);
    const Family family = node->family == AF_INET ? Family::V4 : Family::V6;
    servers.push_back(Address::from_bytes(family, {bytes, family == Family::V4 ? 4u : 16u}));
  }
  ::ares_free_data(first);
  return servers;
}

void ask_these(ares_channel channel, const std::vector<Address>& servers) {
  std::vector<ares_addr_port_node> nodes(servers.size());
  for (std::size_t i = 0; i < servers.size(); ++i) {
    nodes[i].next = i + 1 < servers.size() ? &nodes[i + 1] : nullptr;
    nodes[i].family = servers[i].is_v4() ? AF_INET : AF_INET6;
    std::memcpy(&nodes[i].addr, servers[i].bytes().data(), servers[i].bytes().size());
  }
  ::ares_set_servers_ports(channel, nodes.data());
}

/// One question to name servers, and what came of it.
class Question {
 public:
  /// `servers`: those of the configuration if empty.
  Question(const std::string& host, std::uint16_t port, std::uint32_t mark, const std::vector<Address>& servers)
      : port_(port), mark_(mark), channel_(open_channel()) {
    is_answered_ = !channel_;
    if (is_answered_) return;
    if (!servers.empty()) ask_these(channel_.get(), servers);
    if (mark_ != 0) ::ares_set_socket_configure_callback(channel_.get(), &Question::configure, this);
    ares_addrinfo_hints hints{};
    hints.ai_family = family_to_ask_for();
    hints.ai_socktype = SOCK_DGRAM;
    ::ares_getaddrinfo(channel_.get(), host.c_str(), nullptr, &hints, &Question::take_answer, this);
  }
  Question(const Question&) = delete;
  Question& operator=(const Question&) = delete;

  [[nodiscard]] bool is_answered() const noexcept { return is_answered_; }
  /// None: the answer was that there are none, or that nobody answers.
  [[nodiscard]] FoundEndpoints& found() noexcept { return found_; }

  /// Appends what it waits for, and lowers `most` to the time it waits.
  void add_waits(std::vector<pollfd>& waits, std::chrono::milliseconds& most) {
    first_wait_ = waits.size();
    if (is_answered_) return;
    std::array<ares_socket_t, ARES_GETSOCK_MAXNUM> sockets{};
    const auto wanted = static_cast<unsigned>(::ares_getsock(channel_.get(), sockets.data(), ARES_GETSOCK_MAXNUM));
    for (unsigned i = 0; i < sockets.size(); ++i) {
      const bool reads = (wanted >> i) & 1;
      const bool writes = (wanted >> (i + ARES_GETSOCK_MAXNUM)) & 1;
      if (!reads && !writes) continue;
      const int events = (reads ? POLLIN : 0) | (writes ? POLLOUT : 0);
      waits.push_back({sockets[i], static_cast<short>(events), 0});
    }
    wait_count_ = waits.size() - first_wait_;
    timeval left{};
    if (const timeval* wait = ::ares_timeout(channel_.get(), nullptr, &left)) {
      most = std::min(most, std::chrono::milliseconds(wait->tv_sec * 1000 + wait->tv_usec / 1000 + 1));
    }
  }

  /// Goes on after the wait for `waits`.
  void process(std::span<const pollfd> waits) {
    if (is_answered_) return;
    for (const pollfd& each : waits.subspan(first_wait_, wait_count_)) {
      if (each.revents == 0) continue;
      const bool is_readable = (each.revents & ~POLLOUT) != 0;
      ::ares_process_fd(channel_.get(), is_readable ? each.fd : ARES_SOCKET_BAD,
                        (each.revents & POLLOUT) != 0 ? each.fd : ARES_SOCKET_BAD);
    }
    ::ares_process_fd(channel_.get(), ARES_SOCKET_BAD, ARES_SOCKET_BAD);
  }

 private:
  static int configure(ares_socket_t socket, int, void* self) {
    const std::uint32_t mark = static_cast<const Question*>(self)->mark_;
    // Who may not set it asks without.
    (void)::setsockopt(socket, SOL_SOCKET, SO_MARK, &mark, sizeof mark);
    return 0;
  }

  static void take_answer(void* self, int status, int, ares_addrinfo* answer) {
    auto& asked = *static_cast<Question*>(self);
    asked.is_answered_ = true;
    if (status != ARES_SUCCESS) return;
    int ttl = lookup_lifetime_max.count();
    for (const ares_addrinfo_cname* alias = answer->cnames; alias; alias = alias->next) ttl = std::min(ttl, alias->ttl);
    for (const ares_addrinfo_node* node = answer->nodes; node; node = node->ai_next) {
      ttl = std::min(ttl, node->ai_ttl);
      add(asked.found_, node->ai_addr, node->ai_addrlen, asked.port_);
    }
    asked.found_.lifetime = std::chrono::seconds(ttl);
    ::ares_freeaddrinfo(answer);
  }

  std::uint16_t port_;
  std::uint32_t mark_;
  bool is_answered_ = false;
  std::size_t first_wait_ = 0;
  std::size_t wait_count_ = 0;
  FoundEndpoints found_;
  Channel channel_;  ///< last, since it answers when it ends
};

struct Way {
  std::uint32_t mark;
  std::vector<Address> servers;
};

/// In the order in which they are tried: past the tunnel before through it, and the servers of before it last.
std::vector<Way> ways_to_ask(const LookupPath& path) {
  std::vector<Way> ways;
  if (path.mark != 0) ways.push_back({path.mark, {}});
  ways.push_back({0, {}});
  const bool has_former = !path.former_servers.empty() && path.former_servers != name_servers();
  if (has_former) ways.push_back({path.mark, path.former_servers});
  return ways;
}

/// Asks one way after the other, each head_start after the one before or when that has failed; the first that knows
/// the host counts.
FoundEndpoints ask_servers(const std::string& host, std::uint16_t port, const LookupPath& path) {
  using Clock = std::chrono::steady_clock;
  const std::vector<Way> ways = ways_to_ask(path);
  std::deque<Question> questions;
  Clock::time_point next_at = Clock::now();
  for (;;) {
    for (Question& question : questions) {
      if (!question.found().endpoints.empty()) return std::move(question.found());
    }
    const bool are_all_answered = std::ranges::all_of(questions, &Question::is_answered);
    const bool has_more = questions.size() < ways.size();
    if (are_all_answered && !has_more) return {};
    const Clock::time_point now = Clock::now();
    if (has_more && (are_all_answered || now >= next_at)) {
      const Way& way = ways[questions.size()];
      questions.emplace_back(host, port, way.mark, way.servers);
      next_at = now + head_start;
      continue;
    }
    std::vector<pollfd> waits;
    std::chrono::milliseconds most = wait_max;
    if (has_more) most = std::min(most, std::chrono::ceil<std::chrono::milliseconds>(next_at - now));
    for (Question& question : questions) question.add_waits(waits, most);
    (void)::poll(waits.data(), waits.size(), static_cast<int>(most.count()));
    for (Question& question : questions) question.process(waits);
  }
}

}  // namespace

std::vector<Address> name_servers() {
  const Channel channel = open_channel();
  return channel ? servers_of(channel.get()) : std::vector<Address>();
}

FoundEndpoints resolve(const std::string& host, std::uint16_t port, const LookupPath& path) {
  // An address, perhaps with the name of an interface as its scope.
  FoundEndpoints found = ask_libc(host, port, AI_NUMERICHOST);
  found.lifetime = lookup_lifetime_max;
  if (found.endpoints.empty()) found = ask_servers(host, port, path);
  if (found.endpoints.empty()) {
    found = ask_libc(host, port, AI_ADDRCONFIG);
    found.lifetime = lookup_lifetime_unknown;
  }
  found.lifetime = std::clamp(found.lifetime, lookup_lifetime_min, lookup_lifetime_max);
  return found;
}

}  // namespace culvert
