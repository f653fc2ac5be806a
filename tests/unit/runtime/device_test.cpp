// A device changed while it is at work.
#include "culvert/runtime/device.hpp"

#include <gmock/gmock.h>
#include <linux/capability.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <functional>
#include <future>
#include <thread>

#include "culvert/crypto/key_exchange.hpp"
#include "culvert/crypto/system_random.hpp"
#include "culvert/io/netlink.hpp"
#include "support/crypto_ready.hpp"
#include "support/io_loop.hpp"
#include "support/own_namespace.hpp"
#include "support/restrictions.hpp"
#include "support/temporary_directory.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;
using test::in_own_namespace;
using test::output_of;
using test::run_for;
using test::run_until;

SecretKey fresh_key() {
  SystemRandom random;
  return generate_secret_key(random);
}

class DeviceTest : public ::testing::Test {
 protected:
  DeviceTest() {
    initialize_crypto();
    ::setenv("STATE_DIRECTORY", state_.path().c_str(), 1);
  }
  ~DeviceTest() override { ::unsetenv("STATE_DIRECTORY"); }

  static std::unique_ptr<Device> make(boost::asio::io_context& io) {
    return std::make_unique<Device>(io, NetworkNamespace::current(), std::uint16_t{0}, 0u);
  }

  test::TemporaryDirectory state_;
};

using DeviceOfTheKernel = DeviceTest;

void with_tun(const std::function<void()>& body) {
  in_own_namespace([&] {
    if (::access("/dev/net/tun", R_OK | W_OK) != 0) GTEST_SKIP() << "/dev/net/tun cannot be used";
    body();
  });
}

TEST_F(DeviceTest, moves_to_another_port) {
  in_own_namespace([] {
    boost::asio::io_context io;
    const auto device = make(io);
    DeviceChange change;
    change.listen_port = 40123;
    ASSERT_TRUE(device->apply(std::move(change)));
    EXPECT_EQ(device->sockets().port(), 40123);
  });
}

TEST_F(DeviceTest, stays_as_it_is_when_the_port_is_taken) {
  in_own_namespace([] {
    boost::asio::io_context io;
    const auto device = make(io);
    const auto other = UdpSocketPair::bind(0, 0);
    const std::uint16_t before = device->sockets().port();
    DeviceChange change;
    change.private_key = fresh_key();
    change.listen_port = other.port();
    change.firewall_mark = 7;
    change.peers.emplace_back().public_key = public_key_of(fresh_key());
    const auto done = device->apply(std::move(change));
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().value(), EADDRINUSE);
    EXPECT_EQ(device->sockets().port(), before);
    EXPECT_EQ(device->firewall_mark(), 0u);
    EXPECT_EQ(device->engine()->identity(), nullptr);
    EXPECT_EQ(device->engine()->peers().size(), 0u);
  });
}

TEST_F(DeviceTest, moves_its_sockets_to_another_namespace_and_hands_out_the_former) {
  in_own_namespace([] {
    boost::asio::io_context io;
    const auto device = make(io);
    const auto here = NetworkNamespace::current().identity();
    const std::uint16_t port = device->sockets().port();
    NetworkNamespace there = NetworkNamespace::create();
    const auto there_is = there.identity();
    ASSERT_TRUE(device->apply({}, &there));
    EXPECT_EQ(device->socket_namespace().identity(), there_is);
    EXPECT_EQ(there.identity(), here);
    EXPECT_EQ(device->sockets().port(), port);
    // The old sockets are closed, the new ones are where they should be.
    EXPECT_NO_THROW((void)UdpSocketPair::bind(port, 0));
    const ScopedNamespace inside(device->socket_namespace());
    EXPECT_THROW((void)UdpSocketPair::bind(port, 0), std::system_error);
  });
}

TEST_F(DeviceTest, takes_any_port_in_the_other_namespace_only_if_none_is_asked_for) {
  in_own_namespace([] {
    boost::asio::io_context io;
    const auto device = make(io);
    const auto here = NetworkNamespace::current().identity();
    const std::uint16_t port = device->sockets().port();
    NetworkNamespace there = NetworkNamespace::create();
    std::optional<UdpSocketPair> taken;
    {
      const ScopedNamespace inside(there);
      taken = UdpSocketPair::bind(port, 0);
    }
    DeviceChange change;
    change.listen_port = port;
    const auto done = device->apply(std::move(change), &there);
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().value(), EADDRINUSE);
    EXPECT_EQ(device->socket_namespace().identity(), here);
    EXPECT_EQ(device->sockets().port(), port);
    EXPECT_NE(there.identity(), here);
    ASSERT_TRUE(device->apply({}, &there));
    EXPECT_NE(device->sockets().port(), port);
    EXPECT_EQ(there.identity(), here);
  });
}

TEST_F(DeviceTest, keeps_its_sockets_when_the_namespace_is_the_same_by_another_name) {
  in_own_namespace([] {
    boost::asio::io_context io;
    const auto device = make(io);
    const int socket = device->sockets().v4->fd();
    DeviceChange change;
    change.listen_port = device->sockets().port();
    NetworkNamespace same = NetworkNamespace::current();
    ASSERT_TRUE(device->apply(std::move(change), &same));
    EXPECT_EQ(device->sockets().v4->fd(), socket);
  });
}

TEST_F(DeviceTest, keeps_its_port_when_asked_for_any_or_for_the_same) {
  in_own_namespace([] {
    boost::asio::io_context io;
    const auto device = make(io);
    const std::uint16_t before = device->sockets().port();
    for (const std::uint16_t port : {std::uint16_t{0}, before}) {
      DeviceChange change;
      change.listen_port = port;
      EXPECT_TRUE(device->apply(std::move(change)));
      EXPECT_EQ(device->sockets().port(), before);
    }
  });
}

std::uint32_t mark_of(const UdpSocket& socket) {
  std::uint32_t mark = 0;
  socklen_t size = sizeof mark;
  EXPECT_EQ(::getsockopt(socket.fd(), SOL_SOCKET, SO_MARK, &mark, &size), 0);
  return mark;
}

TEST_F(DeviceTest, marks_both_sockets_and_keeps_the_mark_on_another_port) {
  in_own_namespace([] {
    boost::asio::io_context io;
    const auto device = make(io);
    DeviceChange marked;
    marked.firewall_mark = 42;
    ASSERT_TRUE(device->apply(std::move(marked)));
    EXPECT_EQ(mark_of(*device->sockets().v4), 42u);
    EXPECT_EQ(mark_of(*device->sockets().v6), 42u);
    DeviceChange moved;
    moved.listen_port = 40124;
    ASSERT_TRUE(device->apply(std::move(moved)));
    EXPECT_EQ(mark_of(*device->sockets().v4), 42u);
    EXPECT_EQ(device->firewall_mark(), 42u);
  });
}

TEST_F(DeviceTest, stays_as_it_is_when_the_mark_is_not_permitted) {
  in_own_namespace([] {
    boost::asio::io_context io;
    const auto device = make(io);
    test::drop_capability(CAP_NET_ADMIN);
    test::drop_capability(CAP_NET_RAW);
    DeviceChange change;
    change.firewall_mark = 42;
    change.peers.emplace_back().public_key = public_key_of(fresh_key());
    EXPECT_FALSE(device->apply(std::move(change)));
    EXPECT_EQ(mark_of(*device->sockets().v4), 0u);
    EXPECT_EQ(device->firewall_mark(), 0u);
    EXPECT_EQ(device->engine()->peers().size(), 0u);
  });
}

/// `device` with a key of its own, and a peer nobody answers for, who is called at once.
PublicKey call_somebody(Device& device) {
  DeviceChange change;
  change.private_key = fresh_key();
  const PublicKey own = public_key_of(*change.private_key);
  PeerChange& peer = change.peers.emplace_back();
  peer.public_key = public_key_of(fresh_key());
  peer.endpoint = Endpoint::parse("127.0.0.1:9");
  peer.persistent_keepalive = 25s;
  EXPECT_TRUE(device.apply(std::move(change)));
  return own;
}

TEST_F(DeviceTest, remembers_the_timestamps_it_sent_and_continues_above_them) {
  in_own_namespace([] {
    boost::asio::io_context io;
    const auto far_ahead = Tai64n::from(WallTime(std::chrono::hours(24 * 365 * 100)));
    SecretKey key = fresh_key();
    { TimestampStore(public_key_of(key)).save(far_ahead); }
    {
      const auto device = make(io);
      DeviceChange change;
      change.private_key = key.clone();
      ASSERT_TRUE(device->apply(std::move(change)));
      EXPECT_EQ(device->engine()->last_timestamp(), far_ahead);
    }
    PublicKey own;
    Tai64n sent;
    {
      const auto device = make(io);
      own = call_somebody(*device);
      sent = device->engine()->last_timestamp();
      EXPECT_NE(sent, Tai64n());
    }
    EXPECT_EQ(TimestampStore(own).load(), sent);
  });
}

TEST_F(DeviceTest, takes_another_key_without_waiting_for_the_disk) {
  in_own_namespace([] {
    boost::asio::io_context io;
    auto writer = std::make_shared<BackgroundWriter>();
    std::promise<void> disk;
    writer->post([ready = disk.get_future().share()] { ready.wait(); });
    auto device =
        std::make_unique<Device>(io, NetworkNamespace::current(), std::uint16_t{0}, 0u, true, std::size_t{1}, writer);
    const PublicKey old = call_somebody(*device);
    const Tai64n sent = device->engine()->last_timestamp();
    call_somebody(*device);
    DeviceChange no_key;
    no_key.private_key = SecretKey();
    ASSERT_TRUE(device->apply(std::move(no_key)));
    EXPECT_FALSE(std::filesystem::exists(TimestampStore(old).path()));
    disk.set_value();
    device.reset();
    writer.reset();
    EXPECT_EQ(TimestampStore(old).load(), sent);
  });
}

TEST_F(DeviceTest, tells_of_events) {
  in_own_namespace([] {
    boost::asio::io_context io;
    const auto device = make(io);
    std::vector<EventKind> events;
    device->on_event = [&](const Event& event) { events.push_back(event.kind); };
    call_somebody(*device);
    EXPECT_THAT(events, ::testing::ElementsAre(EventKind::InitiationSent));
  });
}

TEST_F(DeviceTest, binds_in_the_namespace_given) {
  in_own_namespace([] {
    const NetworkNamespace there = NetworkNamespace::current();
    const auto taken = UdpSocketPair::bind(40125, 0);
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
    boost::asio::io_context io;
    EXPECT_NO_THROW(Device(io, NetworkNamespace::current(), 40125, 0));
    EXPECT_THROW(Device(io, NetworkNamespace::open("/proc/self/fd/" + std::to_string(there.fd())), 40125, 0),
                 std::system_error);
  });
}

/// Two devices that are peers of each other: `near_` carries a TUN device with 10.9.0.1/24.
struct Pair {
  Pair() : near_device(make(io)), far_device(make(io)), tun(TunDevice::create("device0")) {
    output_of("ip addr add 10.9.0.1/24 dev device0; ip link set device0 mtu 1420 up");
    SecretKey near_key = fresh_key();
    SecretKey far_key = fresh_key();
    introduce(*near_device, near_key, far_key, *far_device);
    introduce(*far_device, far_key, near_key, *near_device);
    near_device->carry(&tun);
    run_until(io, [&] { return peer().last_handshake.has_value() && far_peer().last_handshake.has_value(); });
  }
  ~Pair() { near_device->carry(nullptr); }

  static std::unique_ptr<Device> make(boost::asio::io_context& io) {
    return std::make_unique<Device>(io, NetworkNamespace::current(), std::uint16_t{0}, 0u);
  }
  static void introduce(Device& device, const SecretKey& own, const SecretKey& other_key, const Device& other) {
    DeviceChange change;
    change.private_key = own.clone();
    PeerChange& peer = change.peers.emplace_back();
    peer.public_key = public_key_of(other_key);
    peer.endpoint = Endpoint{*Address::parse("127.0.0.1"), other.sockets().port(), 0};
    peer.persistent_keepalive = 3600s;
    peer.allowed_ips.push_back({*Prefix::parse("10.9.0.0/24")});
    EXPECT_TRUE(device.apply(std::move(change)));
  }
  const Peer& peer() const { return *near_device->engine()->find_peer(PeerId(0)); }
  const Peer& far_peer() const { return *far_device->engine()->find_peer(PeerId(0)); }

  /// How large the datagram is in which a packet of `size` bytes leaves.
  std::uint64_t datagram_size_of(std::size_t size) {
    run_for(io, 20ms);
    const std::uint64_t before = peer().sent_bytes;
    const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(9);
    to.sin_addr.s_addr = htonl(0x0A090002);
    const std::vector<std::byte> payload(size - 28);
    EXPECT_EQ(
        ::sendto(socket.get(), payload.data(), payload.size(), 0, reinterpret_cast<const sockaddr*>(&to), sizeof to),
        static_cast<ssize_t>(payload.size()));
    run_until(io, [&] { return peer().sent_bytes != before; });
    return peer().sent_bytes - before;
  }

  boost::asio::io_context io{1};
  std::unique_ptr<Device> near_device;
  std::unique_ptr<Device> far_device;
  TunDevice tun;
};

constexpr std::uint64_t data_overhead = 32;

TEST_F(DeviceOfTheKernel, pads_up_to_the_mtu_the_device_has_at_the_time) {
  with_tun([] {
    Pair pair;
    EXPECT_EQ(pair.datagram_size_of(1001), data_overhead + 1008);
    output_of("ip link set device0 mtu 1001");
    run_for(pair.io, 50ms);
    EXPECT_EQ(pair.datagram_size_of(1001), data_overhead + 1001);
    output_of("ip link set device0 mtu 1420");
    run_for(pair.io, 50ms);
    EXPECT_EQ(pair.datagram_size_of(1001), data_overhead + 1008);
  });
}

TEST_F(DeviceOfTheKernel, follows_the_mtu_when_the_device_is_renamed_or_moved_to_another_namespace) {
  with_tun([] {
    Pair pair;
    output_of("ip link set device0 down && ip link set device0 name device1 && ip link set device1 up");
    output_of("ip link set device1 mtu 1001");
    run_for(pair.io, 50ms);
    EXPECT_EQ(pair.datagram_size_of(1001), data_overhead + 1001);

    const auto elsewhere = [] {
      std::optional<NetworkNamespace> made;
      std::thread([&] {
        if (::unshare(CLONE_NEWNET) == 0) made = NetworkNamespace::current();
      }).join();
      return std::move(*made);
    }();
    output_of("ip link set device1 netns /proc/" + std::to_string(::getpid()) + "/fd/" +
              std::to_string(elsewhere.fd()));
    run_for(pair.io, 50ms);
    const ScopedNamespace inside(elsewhere);
    output_of("ip addr add 10.9.0.1/24 dev device1; ip link set device1 mtu 1009 up");
    run_for(pair.io, 50ms);
    EXPECT_EQ(pair.datagram_size_of(1009), data_overhead + 1009);
    EXPECT_LT(run_for(pair.io, 200ms), 30u);
  });
}

TEST_F(DeviceOfTheKernel, carries_nothing_and_rests_after_its_device_was_deleted) {
  with_tun([] {
    Pair pair;
    int lost = 0;
    pair.near_device->on_device_lost = [&] { ++lost; };
    output_of("ip link del device0");
    run_until(pair.io, [&] { return lost > 0; });
    EXPECT_LT(run_for(pair.io, 300ms), 20u);
    EXPECT_EQ(lost, 1);
  });
}

TEST_F(DeviceOfTheKernel, keeps_its_sessions_when_it_moves_to_another_port) {
  with_tun([] {
    Pair pair;
    const auto handshake = pair.peer().last_handshake;
    DeviceChange change;
    change.listen_port = 40126;
    ASSERT_TRUE(pair.near_device->apply(std::move(change)));
    pair.datagram_size_of(100);
    run_until(pair.io, [&] { return pair.far_peer().path->remote.port == 40126; });
    EXPECT_EQ(pair.peer().last_handshake, handshake);
  });
}

std::size_t open_descriptors() {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {}));
}
std::size_t threads() {
  return static_cast<std::size_t>(std::distance(std::filesystem::directory_iterator("/proc/self/task"), {}));
}

std::unique_ptr<Device> make_with_workers(boost::asio::io_context& io, std::size_t workers) {
  return std::make_unique<Device>(io, NetworkNamespace::current(), std::uint16_t{0}, 0u, true, workers);
}

/// A device of three workers, and datagrams no key is involved in from as many senders as it takes.
struct Workers {
  explicit Workers(std::size_t queues = 3) : tun(TunDevice::create("device0", true, queues)) {
    output_of("ip addr add 10.9.0.1/24 dev device0; ip link set device0 up");
    device->carry(&tun);
  }
  ~Workers() { device->carry(nullptr); }

  void send(int datagrams) {
    for (int i = 0; i < datagrams; ++i) {
      const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      sockaddr_in to{};
      to.sin_family = AF_INET;
      to.sin_port = htons(device->sockets().port());
      to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
      EXPECT_EQ(::sendto(socket.get(), "\xff\xff\xff\xff", 4, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to), 4);
    }
    sent += static_cast<std::uint64_t>(datagrams);
  }
  void expect_all_counted() {
    run_until(io, [&] { return device->drops()[DropReason::MessageType] == sent; });
  }

  boost::asio::io_context io{1};
  std::unique_ptr<Device> device = make_with_workers(io, 3);
  TunDevice tun;
  std::uint64_t sent = 0;
};

using DeviceWorkers = DeviceTest;

TEST_F(DeviceWorkers, are_threads_while_there_is_a_device_and_give_everything_back) {
  with_tun([] {
    boost::asio::io_context io;
    const auto device = make_with_workers(io, 3);
    const std::size_t threads_before = threads();
    TunDevice tun = TunDevice::create("device0", true, 3);
    std::size_t descriptors = 0;
    for (int i = 0; i < 20; ++i) {
      device->carry(&tun);
      EXPECT_EQ(threads(), threads_before + 2);
      device->carry(nullptr);
      EXPECT_EQ(threads(), threads_before);
      if (i == 0) descriptors = open_descriptors();
    }
    EXPECT_EQ(open_descriptors(), descriptors);
  });
}

TEST_F(DeviceWorkers, take_the_datagrams_of_all_sockets_and_stop_while_more_come) {
  with_tun([] {
    Workers workers;
    for (int i = 0; i < 10; ++i) {
      workers.send(50);
      workers.device->carry(nullptr);
      workers.device->carry(&workers.tun);
    }
    workers.expect_all_counted();
  });
}

TEST_F(DeviceWorkers, move_to_another_port_together_and_are_marked_together) {
  with_tun([] {
    Workers workers;
    workers.send(100);
    workers.expect_all_counted();
    DeviceChange change;
    change.listen_port = 40127;
    change.firewall_mark = 42;
    ASSERT_TRUE(workers.device->apply(std::move(change)));
    EXPECT_EQ(workers.device->sockets().port(), 40127);
    const std::string sockets = output_of("ss -Hulne sport = :40127");
    EXPECT_EQ(std::ranges::count(sockets, '\n'), 6);
    std::size_t marked = 0;
    for (auto at = sockets.find("fwmark:0x2a"); at != std::string::npos; at = sockets.find("fwmark:0x2a", at + 1)) {
      ++marked;
    }
    EXPECT_EQ(marked, 6u) << sockets;
    workers.send(100);
    workers.expect_all_counted();
  });
}

TEST_F(DeviceWorkers, stay_where_they_are_when_the_port_is_taken) {
  with_tun([] {
    Workers workers;
    const auto other = UdpSocket::bind(Family::V4, 40128, 0, true, true);
    const std::uint16_t before = workers.device->sockets().port();
    DeviceChange change;
    change.listen_port = 40128;
    const auto done = workers.device->apply(std::move(change));
    ASSERT_FALSE(done);
    EXPECT_EQ(done.error().value(), EADDRINUSE);
    EXPECT_EQ(workers.device->sockets().port(), before);
    workers.send(100);
    workers.expect_all_counted();
  });
}

TEST_F(DeviceWorkers, keep_what_they_lost_in_the_sum_when_they_go) {
  with_tun([] {
    Workers workers;

    // A peer nothing can be sent to: each initiation is a datagram that the kernel refuses.
    DeviceChange change;
    change.private_key = fresh_key();
    for (std::uint8_t i = 2; i < 40; ++i) {
      PeerChange& peer = change.peers.emplace_back();
      peer.public_key = public_key_of(fresh_key());
      peer.endpoint = Endpoint::parse("240.0.0.1:9");
      peer.allowed_ips.push_back({*Prefix::parse("10.9.0." + std::to_string(i) + "/32")});
    }
    ASSERT_TRUE(workers.device->apply(std::move(change)));
    for (std::uint32_t i = 2; i < 40; ++i) {
      const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      sockaddr_in to{};
      to.sin_family = AF_INET;
      to.sin_port = htons(9);
      to.sin_addr.s_addr = htonl(0x0A090000 + i);
      EXPECT_EQ(::sendto(socket.get(), "x", 1, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to), 1);
    }
    run_until(workers.io, [&] { return workers.device->drops()[DropReason::SocketError] >= 38; });
    const std::uint64_t before = workers.device->drops()[DropReason::SocketError];
    workers.device->carry(nullptr);
    EXPECT_GE(workers.device->drops()[DropReason::SocketError], before);
  });
}

TEST_F(DeviceWorkers, go_on_with_another_device_when_theirs_was_deleted) {
  with_tun([] {
    Workers workers;
    const std::size_t threads_before = threads();
    bool is_lost = false;
    workers.device->on_device_lost = [&] { is_lost = true; };
    output_of("ip link del device0");
    run_until(workers.io, [&] { return is_lost; });
    EXPECT_EQ(threads(), threads_before - 2);
    workers.tun = TunDevice::create("device0", true, 3);
    output_of("ip link set device0 up");
    workers.device->carry(&workers.tun);
    EXPECT_EQ(threads(), threads_before);
    workers.send(100);
    workers.expect_all_counted();
  });
}

}  // namespace
}  // namespace culvert
