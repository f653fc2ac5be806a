// Names looked up in a network of the test's own, with a name server played by the test.
#include "culvert/runtime/endpoint_lookup.hpp"

#include <arpa/inet.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>

#include <array>
#include <chrono>
#include <csignal>
#include <filesystem>
#include <thread>

#include "culvert/base/endian.hpp"
#include "support/io_loop.hpp"
#include "support/own_etc.hpp"
#include "support/own_namespace.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;
using test::in_own_namespace;
using test::output_of;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

struct Found : FoundEndpoints {
  bool has_come = false;
};

EndpointLookup::Answer into(Found& found) {
  return [&found](FoundEndpoints answer) { found = {std::move(answer), true}; };
}

void wait_for(boost::asio::io_context& io, const Found& found) {
  test::run_until(io, [&] { return found.has_come; });
}

Found look_up(const std::string& host, std::uint16_t port = 51820) {
  boost::asio::io_context io;
  EndpointLookup lookup(io, NetworkNamespace::current());
  Found found;
  lookup.look_up(host, port, 0, into(found));
  wait_for(io, found);
  return found;
}

/// Names are looked up in files and at 127.0.0.1:53 only, which is asked once and for two seconds.
void with_own_resolver() {
  test::replace_in_etc("resolv.conf", "nameserver 127.0.0.1\noptions timeout:2 attempts:1\n");
  test::replace_in_etc("hosts", "127.0.0.1 localhost\n192.0.2.44 known.test\n2001:db8::44 known.test\n");
  test::replace_in_etc("nsswitch.conf", "hosts: files dns\n");
  // Addresses of both families that reach beyond the machine: else the resolver leaves families out (AI_ADDRCONFIG).
  output_of("ip addr add 198.51.100.1/24 dev lo && ip addr add 2001:db8:1::1/64 dev lo nodad");
}

/// A name server at 127.0.0.1:53 of the calling thread's network.
class NameServer {
 public:
  NameServer() : socket_(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in here{};
    here.sin_family = AF_INET;
    here.sin_port = htons(53);
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(socket_.get(), reinterpret_cast<const sockaddr*>(&here), sizeof here), 0);
  }

  bool was_asked(std::chrono::milliseconds patience = 5s) {
    pollfd ready{socket_.get(), POLLIN, 0};
    return ::poll(&ready, 1, static_cast<int>(patience.count())) == 1;
  }

  /// Answers one question: for IPv4 with `address`, for others with nothing (RFC 1035, section 4).
  void answer(std::uint32_t address, std::uint32_t ttl = 0) {
    std::array<std::byte, 512> message{};
    sockaddr_in asker{};
    socklen_t asker_size = sizeof asker;
    const ssize_t received =
        ::recvfrom(socket_.get(), message.data(), 300, 0, reinterpret_cast<sockaddr*>(&asker), &asker_size);
    ASSERT_GT(received, 12);
    std::size_t end = 12;
    while (message[end] != std::byte{0}) end += 1 + std::to_integer<std::size_t>(message[end]);
    const bool is_for_v4 = load<Be16>(&message[end + 1]) == 1;
    end += 5;
    store<Be16>(&message[2], std::uint16_t{0x8180});
    store<Be16>(&message[6], std::uint16_t{is_for_v4});
    store<Be32>(&message[8], 0u);
    if (is_for_v4) {
      store<Be16>(&message[end], std::uint16_t{0xc00c});
      store<Be16>(&message[end + 2], std::uint16_t{1});
      store<Be16>(&message[end + 4], std::uint16_t{1});
      store<Be32>(&message[end + 6], ttl);
      store<Be16>(&message[end + 10], std::uint16_t{4});
      store<Be32>(&message[end + 12], address);
      end += 16;
    }
    ::sendto(socket_.get(), message.data(), end, 0, reinterpret_cast<const sockaddr*>(&asker), asker_size);
  }

 private:
  UniqueFd socket_;
};

TEST(EndpointLookup, takes_addresses_as_they_are) {
  in_own_namespace([] {
    with_own_resolver();
    EXPECT_THAT(look_up("192.0.2.1").endpoints, ElementsAre(*Endpoint::parse("192.0.2.1:51820")));
    EXPECT_THAT(look_up("2001:db8::7", 1).endpoints, ElementsAre(*Endpoint::parse("[2001:db8::7]:1")));
    EXPECT_THAT(look_up("fe80::1%lo", 65535).endpoints, ElementsAre(*Endpoint::parse("[fe80::1%1]:65535")));
  });
}

TEST(EndpointLookup, finds_all_addresses_of_a_name_each_once) {
  in_own_namespace([] {
    with_own_resolver();
    const Found found = look_up("known.test");
    EXPECT_THAT(found.endpoints, ::testing::UnorderedElementsAre(*Endpoint::parse("192.0.2.44:51820"),
                                                                 *Endpoint::parse("[2001:db8::44]:51820")));
    EXPECT_EQ(found.error, "");
  });
}

TEST(EndpointLookup, says_why_there_is_no_address) {
  in_own_namespace([] {
    with_own_resolver();
    const Found found = look_up("nobody.test");  // nobody listens at port 53
    EXPECT_THAT(found.endpoints, IsEmpty());
    EXPECT_NE(found.error, "");
  });
}

TEST(EndpointLookup, asks_in_the_namespace_given) {
  in_own_namespace([] {
    with_own_resolver();
    NameServer server;
    const NetworkNamespace there = NetworkNamespace::current();
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
    boost::asio::io_context io;
    EndpointLookup lookup(io, there);
    Found found;
    lookup.look_up("server.test", 7, 0, into(found));
    for (int i = 0; i < 2 && server.was_asked(); ++i) server.answer(0xc0000207);
    wait_for(io, found);
    EXPECT_THAT(found.endpoints, ElementsAre(*Endpoint::parse("192.0.2.7:7")));
    EXPECT_NE(NetworkNamespace::current().identity(), there.identity());
  });
}

TEST(EndpointLookup, asks_servers_of_the_time_of_its_making_when_those_of_now_do_not_know) {
  in_own_namespace([] {
    with_own_resolver();
    NameServer server;
    boost::asio::io_context io;
    EndpointLookup lookup(io, NetworkNamespace::current());
    test::replace_in_etc("resolv.conf", "nameserver 127.0.0.2\noptions timeout:2 attempts:1\n");
    for (const std::uint32_t mark : {0u, 7u}) {
      Found found;
      lookup.look_up("server.test", 7, mark, into(found));
      for (int i = 0; i < 2 && server.was_asked(); ++i) server.answer(0xc0000207);
      wait_for(io, found);
      EXPECT_THAT(found.endpoints, ElementsAre(*Endpoint::parse("192.0.2.7:7")));
    }
  });
}

/// The lifetime of what `host` is found to be, when the name server says `ttl`.
std::chrono::seconds lifetime_of(const std::string& host, std::uint32_t ttl) {
  NameServer server;
  boost::asio::io_context io;
  EndpointLookup lookup(io, NetworkNamespace::current());
  Found found;
  lookup.look_up(host, 7, 0, into(found));
  test::run_until(io, [&] {
    if (server.was_asked(10ms)) server.answer(0xc0000207, ttl);
    return found.has_come;
  });
  EXPECT_FALSE(found.endpoints.empty()) << found.error;
  return found.lifetime;
}

TEST(EndpointLookup, tells_the_lifetime_of_an_answer_within_bounds) {
  in_own_namespace([] {
    with_own_resolver();
    EXPECT_EQ(lifetime_of("server.test", 77), 77s);
    EXPECT_EQ(lifetime_of("server.test", 0), lookup_lifetime_min);
    EXPECT_EQ(lifetime_of("server.test", 0x7fffffff), lookup_lifetime_max);
    EXPECT_EQ(lifetime_of("known.test", 77), lookup_lifetime_min) << "a file may change at any time";
    EXPECT_EQ(lifetime_of("192.0.2.1", 77), lookup_lifetime_max);
  });
}

TEST(EndpointLookup, answers_on_the_thread_of_the_io_context_only) {
  boost::asio::io_context io;
  EndpointLookup lookup(io, NetworkNamespace::current());
  std::thread::id answered_by;
  Found found;
  lookup.look_up("192.0.2.1", 1, 0, [&](const FoundEndpoints&) {
    answered_by = std::this_thread::get_id();
    found.has_come = true;
  });
  std::this_thread::sleep_for(50ms);
  EXPECT_FALSE(found.has_come);
  wait_for(io, found);
  EXPECT_EQ(answered_by, std::this_thread::get_id());
}

TEST(EndpointLookup, answers_in_the_order_of_the_questions) {
  boost::asio::io_context io;
  EndpointLookup lookup(io, NetworkNamespace::current());
  std::vector<int> order;
  Found last;
  for (int i = 0; i < 20; ++i) {
    lookup.look_up("192.0.2.1", 1, 0, [&order, i](const FoundEndpoints&) { order.push_back(i); });
  }
  lookup.look_up("192.0.2.1", 1, 0, into(last));
  wait_for(io, last);
  EXPECT_EQ(order.size(), 20u);
  EXPECT_TRUE(std::ranges::is_sorted(order));
}

TEST(EndpointLookup, does_not_hold_up_its_owners_end_while_a_lookup_is_under_way) {
  in_own_namespace([] {
    with_own_resolver();
    NameServer server;
    Found found;
    {
      boost::asio::io_context io;
      const auto before = [&] {
        EndpointLookup lookup(io, NetworkNamespace::current());
        lookup.look_up("slow.test", 1, 0, into(found));
        lookup.look_up("slower.test", 1, 0, into(found));
        EXPECT_TRUE(server.was_asked());
        return std::chrono::steady_clock::now();
      }();
      EXPECT_LT(std::chrono::steady_clock::now() - before, 1s);
    }
    // The lookup ends after its owner and the io_context; its answer is lost, and nothing else is asked.
    std::this_thread::sleep_for(2500ms);
    EXPECT_FALSE(found.has_come);
  });
}

/// How many threads of this process would not take SIGTERM.
unsigned long long deaf_threads() {
  unsigned long long count = 0;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream status(thread.path() / "status");
    for (std::string line; std::getline(status, line);) {
      if (line.starts_with("SigBlk:")) count += (std::stoull(line.substr(7), nullptr, 16) >> (SIGTERM - 1)) & 1;
    }
  }
  return count;
}

TEST(EndpointLookup, leaves_signals_to_its_owner) {
  boost::asio::io_context io;
  // Threads of lookups before end when they please.
  test::run_until(io, [] { return deaf_threads() == 0; });
  EndpointLookup lookup(io, NetworkNamespace::current());
  // A thread that is only just being made takes no signals whatever it will do later.
  Found found;
  lookup.look_up("192.0.2.1", 1, 0, into(found));
  wait_for(io, found);
  EXPECT_EQ(deaf_threads(), 1u);
  sigset_t own;
  ASSERT_EQ(::pthread_sigmask(SIG_SETMASK, nullptr, &own), 0);
  EXPECT_FALSE(::sigismember(&own, SIGTERM));
}

}  // namespace
}  // namespace culvert
