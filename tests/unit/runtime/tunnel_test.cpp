// Whole tunnels in networks of the test's own.
#include "culvert/runtime/tunnel.hpp"

#include <gmock/gmock.h>
#include <unistd.h>

#include <filesystem>
#include <functional>

#include "culvert/crypto/key_exchange.hpp"
#include "culvert/io/netlink.hpp"
#include "support/captured_log.hpp"
#include "support/crypto_ready.hpp"
#include "support/expect_system_error.hpp"
#include "support/io_loop.hpp"
#include "support/own_etc.hpp"
#include "support/own_namespace.hpp"
#include "support/temporary_directory.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;
using test::CapturedLog;
using test::in_own_namespace;
using test::output_of;
using test::run_for;
using test::run_until;
using test::TemporaryDirectory;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Not;

constexpr std::string_view own_key = "YAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=";
constexpr std::string_view other_key = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";

Config config_of(const std::string& interface_lines, const std::string& peer_lines) {
  return parse_config("[Interface]\nPrivateKey = " + std::string(own_key) + "\n" + interface_lines +
                          "\n[Peer]\nPublicKey = " + std::string(other_key) + "\n" + peer_lines + "\n",
                      "/etc/culvert/tunnel0.conf");
}

void with_tun(const std::function<void()>& body) {
  in_own_namespace([&] {
    if (::access("/dev/net/tun", R_OK | W_OK) != 0) GTEST_SKIP() << "/dev/net/tun cannot be used";
    initialize_crypto();
    const TemporaryDirectory state;
    ::setenv("STATE_DIRECTORY", state.path().c_str(), 1);
    body();
    ::unsetenv("STATE_DIRECTORY");
  });
}

bool is_there(const std::string& name) {
  return Netlink().find_link(name).has_value();
}

long open_descriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
}

void expect_as_configured() {
  Netlink netlink;
  const auto link = netlink.find_link("tunnel0");
  ASSERT_TRUE(link);
  EXPECT_TRUE(link->is_up);
  EXPECT_EQ(link->mtu, 1380u);
  EXPECT_THAT(netlink.addresses(link->index), IsSupersetOf({*Prefix::parse("10.9.0.1/24")}));
  EXPECT_THAT(output_of("ip route show dev tunnel0"), HasSubstr("10.8.0.0/16"));
}

/// A tunnel together with what it was made from.
class Subject {
 public:
  Subject(boost::asio::io_context& io, Config config)
      : config_(std::move(config)), tunnel_(io, std::move(config_), "tunnel0") {}
  Tunnel* operator->() { return &tunnel_; }
  const Peer& peer() { return *tunnel_.device().engine()->find_peer(PeerId(0)); }

 private:
  Config config_;
  Tunnel tunnel_;
};

const std::string usual_interface = "Address = 10.9.0.1/24\nMTU = 1380\n";

TEST(Tunnel, is_set_up_as_the_file_says_and_undone_at_its_end) {
  with_tun([] {
    boost::asio::io_context io;
    const std::string before = output_of("ip addr; ip route show table all");
    {
      Subject tunnel(
          io, config_of(usual_interface + "ListenPort = 40200\nFwMark = 5\n", "AllowedIPs = 10.8.0.0/16\nName = far"));
      expect_as_configured();
      EXPECT_EQ(tunnel->device().sockets().port(), 40200);
      EXPECT_EQ(tunnel->device().firewall_mark(), 5u);
      EXPECT_EQ(tunnel->device().engine()->peers().size(), 1u);
      EXPECT_THAT(tunnel->device().labels.peers, ::testing::ElementsAre(::testing::Pair(::testing::_, "far")));
      run_for(io, 20ms);
    }
    EXPECT_EQ(output_of("ip addr; ip route show table all"), before);
    EXPECT_NO_THROW((void)UdpSocketPair::bind(40200, 0));
  });
}

TEST(Tunnel, leaves_nothing_when_it_cannot_be_set_up) {
  with_tun([] {
    boost::asio::io_context io;
    { Subject(io, config_of("", "")); }  // the io_context opens descriptors of its own the first time
    run_for(io, 20ms);
    const long before = open_descriptors();
    Config bad_address = config_of(usual_interface + "ListenPort = 40201\n", "AllowedIPs = 10.8.0.0/16");
    bad_address.addresses.push_back(bad_address.addresses.front());
    EXPECT_THROW(Subject(io, std::move(bad_address)), std::system_error);
    EXPECT_FALSE(is_there("tunnel0"));
    EXPECT_EQ(open_descriptors(), before);
    const auto taken = UdpSocketPair::bind(40201, 0);
    EXPECT_THROW(Subject(io, config_of(usual_interface + "ListenPort = 40201\n", "")), std::system_error);
    EXPECT_FALSE(is_there("tunnel0"));
    EXPECT_THROW(Subject(io, config_of("Namespace = nowhere\n", "")), std::system_error);
    EXPECT_THROW(Subject(io, config_of("SocketNamespace = nowhere\n", "")), std::system_error);
  });
}

TEST(Tunnel, takes_a_default_route_with_table_off_or_its_device_in_another_namespace) {
  with_tun([] {
    boost::asio::io_context io;
    { Subject(io, config_of(usual_interface + "Table = off\n", "AllowedIPs = 0.0.0.0/0")); }
    const NetworkNamespace there = NetworkNamespace::current();
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
    const std::string name = "/proc/self/fd/" + std::to_string(there.fd());
    Subject tunnel(io, config_of("Namespace = " + name + "\n" + usual_interface, "AllowedIPs = 0.0.0.0/0"));
    EXPECT_FALSE(is_there("tunnel0"));
    const ScopedNamespace inside(there);
    EXPECT_THAT(output_of("ip route"), HasSubstr("default dev tunnel0"));
  });
}

TEST(Tunnel, makes_a_deleted_device_again_as_it_was) {
  with_tun([] {
    const CapturedLog log;
    boost::asio::io_context io(1);
    Subject tunnel(io, config_of(usual_interface, "AllowedIPs = 10.8.0.0/16"));
    run_for(io, 50ms);
    const long before = open_descriptors();
    for (int i = 0; i < 3; ++i) {
      const auto index = Netlink().find_link("tunnel0")->index;
      output_of("ip link del tunnel0");
      run_until(io, [&] {
        const auto link = Netlink().find_link("tunnel0");
        return link && link->index != index;
      });
      expect_as_configured();
    }
    EXPECT_EQ(open_descriptors(), before);
    EXPECT_LT(run_for(io, 300ms), 30u) << "it must not spin";
    EXPECT_EQ(log.count("it was made again"), 3u) << log.text();
    io.stop();
  });
}

TEST(Tunnel, keeps_trying_to_make_a_deleted_device_again_and_says_so_once) {
  with_tun([] {
    const CapturedLog log;
    boost::asio::io_context io(1);
    Subject tunnel(io, config_of(usual_interface, "AllowedIPs = 10.8.0.0/16"));
    run_for(io, 20ms);
    output_of("ip link del tunnel0; ip link add tunnel0 type veth peer name tunnel1");
    EXPECT_LT(run_for(io, 2500ms), 50u) << "it must not spin";
    EXPECT_EQ(log.count("cannot be made again"), 1u) << log.text();
    output_of("ip link del tunnel0");
    run_until(io, [] { return is_there("tunnel0"); });
    expect_as_configured();
    io.stop();
  });
}

TEST(Tunnel, can_end_while_its_device_is_gone) {
  with_tun([] {
    boost::asio::io_context io(1);
    {
      Subject tunnel(io, config_of(usual_interface, "AllowedIPs = 10.8.0.0/16"));
      run_for(io, 20ms);
      output_of("ip link del tunnel0; ip link add tunnel0 type veth peer name tunnel1");
      run_for(io, 100ms);
      io.stop();
    }
    EXPECT_TRUE(is_there("tunnel0")) << "that one is somebody else's";
  });
}

/// Host names come from a file of the test's.
class Hosts {
 public:
  Hosts() {
    set("");
    // The resolver leaves out families of which the machine has no address that reaches beyond it (AI_ADDRCONFIG).
    output_of("ip addr add 198.51.100.1/24 dev lo");
  }
  void set(const std::string& lines) const { test::replace_in_etc("hosts", lines); }
};

TEST(Tunnel, looks_up_the_name_of_a_peer_and_calls_it) {
  with_tun([] {
    const Hosts hosts;
    hosts.set("127.0.0.1 far.test\n");
    boost::asio::io_context io(1);
    Subject tunnel(io, config_of(usual_interface, "Endpoint = far.test:40300\nPersistentKeepalive = 25"));
    EXPECT_FALSE(tunnel.peer().path);
    run_until(io, [&] { return tunnel.peer().sent_bytes > 0; });
    EXPECT_EQ(tunnel.peer().path->remote, *Endpoint::parse("127.0.0.1:40300"));
    EXPECT_EQ(tunnel.peer().timers.persistent_keepalive(), 25s);
    io.stop();
  });
}

TEST(Tunnel, tries_again_to_look_up_a_name_and_passes_packets_meanwhile) {
  with_tun([] {
    const Hosts hosts;
    const CapturedLog log;
    boost::asio::io_context io(1);
    Subject tunnel(io, config_of(usual_interface, "Name = far\nEndpoint = far.test:40300\nAllowedIPs = 10.8.0.0/16"));
    run_until(io, [&] { return log.count("peer far: looking up \"far.test\"") == 1; });
    hosts.set("127.0.0.1 far.test\n");
    run_until(io, [&] { return tunnel.peer().path.has_value(); });
    EXPECT_EQ(log.count("looking up"), 1u) << log.text();
    io.stop();
  });
}

TEST(Tunnel, ends_at_once_while_a_name_is_looked_up) {
  with_tun([] {
    const Hosts hosts;
    boost::asio::io_context io(1);
    const auto before = std::chrono::steady_clock::now();
    { Subject tunnel(io, config_of(usual_interface, "Endpoint = far.test:40300")); }
    EXPECT_LT(std::chrono::steady_clock::now() - before, 5s);
    EXPECT_FALSE(is_there("tunnel0"));
  });
}

TEST(Tunnel, never_logs_a_key) {
  with_tun([] {
    const CapturedLog log;
    boost::asio::io_context io(1);
    Subject tunnel(io, config_of(usual_interface, "Endpoint = 127.0.0.1:9\nPersistentKeepalive = 1"));
    run_for(io, 200ms);
    EXPECT_THAT(log.text(), HasSubstr("handshake begun"));
    EXPECT_THAT(log.text(), Not(HasSubstr(std::string(own_key.substr(0, 12)))));
    EXPECT_THAT(log.text(), Not(HasSubstr(std::string(other_key.substr(0, 12)))));
    io.stop();
  });
}

}  // namespace
}  // namespace culvert
