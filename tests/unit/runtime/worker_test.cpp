// Packet work on devices and sockets of the running kernel.
#include "culvert/runtime/worker.hpp"

#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <stdexcept>

#include "culvert/crypto/key_exchange.hpp"
#include "culvert/io/clock.hpp"
#include "culvert/protocol/limits.hpp"
#include "support/captured_log.hpp"
#include "support/crypto_ready.hpp"
#include "support/io_loop.hpp"
#include "support/own_namespace.hpp"
#include "support/seeded_random.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;
using test::in_own_namespace;
using test::output_of;
using test::run_for;
using test::run_until;

constexpr std::size_t initiation_size = 148;

long open_descriptors() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd"), {});
}

/// A worker between a device with 10.9.0.1/24 and a peer behind a socket of the test's.
class Bench {
 public:
  Bench() : random_((initialize_crypto(), 7)), engine_(random_, limits::default_mtu) {
    engine_.take()->set_private_key(generate_secret_key(random_));
    sockets_ = UdpSocketPair::bind(0, 0);
    sockaddr_in here{};
    here.sin_family = AF_INET;
    here.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(::bind(far_.get(), reinterpret_cast<const sockaddr*>(&here), sizeof here), 0);
    socklen_t size = sizeof here;
    EXPECT_EQ(::getsockname(far_.get(), reinterpret_cast<sockaddr*>(&here), &size), 0);
    far_endpoint_ = Endpoint{*Address::parse("127.0.0.1"), ntohs(here.sin_port), 0};
    peer_ = engine_.take()->ensure_peer(public_key_of(generate_secret_key(random_)))->id;
    engine_.take()->set_endpoint(peer_, far_endpoint_);
    engine_.take()->add_allowed_ip(peer_, *Prefix::parse("10.9.0.0/24"));
    worker_.emplace(io_, engine_, sockets_);
  }

  TunDevice make_device() {
    TunDevice device = TunDevice::create("worker0");
    output_of("ip addr add 10.9.0.1/24 dev worker0; ip link set worker0 up");
    return device;
  }
  /// The kernel sends a packet for the peer into the device.
  void send_frame() {
    const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(9);
    to.sin_addr.s_addr = htonl(0x0A090002);
    EXPECT_EQ(::sendto(socket.get(), "x", 1, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to), 1);
  }
  /// Sizes of the datagrams that have arrived at the peer.
  std::vector<std::size_t> arrived() {
    std::vector<std::size_t> sizes;
    std::array<std::byte, 2048> memory;
    for (;;) {
      const ssize_t size = ::recv(far_.get(), memory.data(), memory.size(), MSG_DONTWAIT);
      if (size < 0) return sizes;
      sizes.push_back(static_cast<std::size_t>(size));
    }
  }
  void send_datagram(std::size_t size) {
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(sockets_.port());
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    const std::vector<std::byte> bytes(size, std::byte{0xff});
    EXPECT_EQ(::sendto(far_.get(), bytes.data(), size, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to),
              static_cast<ssize_t>(size));
  }
  [[nodiscard]] std::uint64_t dropped(DropReason reason) {
    return engine_.take()->drops()[reason] + worker_->drops()[reason];
  }

  boost::asio::io_context io_{1};
  SeededRandom random_;
  SharedEngine engine_;
  UdpSocketPair sockets_;
  UniqueFd far_{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  Endpoint far_endpoint_;
  PeerId peer_;
  std::optional<Worker> worker_;
};

void with_bench(const std::function<void(Bench&)>& body) {
  in_own_namespace([&] {
    if (::access("/dev/net/tun", R_OK | W_OK) != 0) GTEST_SKIP() << "/dev/net/tun cannot be used";
    Bench bench;
    body(bench);
  });
}

TEST(Worker, carries_frames_of_the_device_to_the_engine_and_datagrams_to_the_socket) {
  with_bench([](Bench& bench) {
    TunDevice device = bench.make_device();
    bench.worker_->set_device(&device);
    bench.send_frame();
    std::vector<std::size_t> sizes;
    run_until(bench.io_, [&] {
      sizes = bench.arrived();
      return !sizes.empty();
    });
    EXPECT_THAT(sizes, ::testing::ElementsAre(initiation_size));
    bench.worker_->set_device(nullptr);
  });
}

TEST(Worker, carries_datagrams_of_both_families_to_the_engine) {
  with_bench([](Bench& bench) {
    bench.send_datagram(33);
    run_until(bench.io_, [&] { return bench.dropped(DropReason::MessageType) == 1; });
    const UniqueFd v6(::socket(AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in6 to{};
    to.sin6_family = AF_INET6;
    to.sin6_port = htons(bench.sockets_.port());
    to.sin6_addr = in6addr_loopback;
    ASSERT_EQ(::sendto(v6.get(), "\xff\xff\xff\xff", 4, 0, reinterpret_cast<const sockaddr*>(&to), sizeof to), 4);
    run_until(bench.io_, [&] { return bench.dropped(DropReason::MessageType) == 2; });
  });
}

TEST(Worker, takes_many_datagrams_and_keeps_other_work_going) {
  with_bench([](Bench& bench) {
    for (int i = 0; i < 1000; ++i) bench.send_datagram(33);
    bool has_run = false;
    boost::asio::post(bench.io_, [&] { has_run = true; });
    run_until(bench.io_, [&] { return has_run; });
    run_until(bench.io_, [&] { return bench.dropped(DropReason::MessageType) >= 200; });
  });
}

TEST(Worker, does_what_is_due_when_it_is_due) {
  with_bench([](Bench& bench) {
    bench.engine_.take()->set_persistent_keepalive(bench.peer_, 25s, read_clocks());
    bench.worker_->settings_changed();
    EXPECT_THAT(bench.arrived(), ::testing::ElementsAre(initiation_size));
    // The first retry comes after limits::rekey_timeout and a jitter.
    const auto begin = std::chrono::steady_clock::now();
    run_until(bench.io_, [&] { return !bench.arrived().empty(); });
    EXPECT_GE(std::chrono::steady_clock::now() - begin, 4900ms);
  });
}

TEST(Worker, reports_events_after_the_burst) {
  with_bench([](Bench& bench) {
    std::vector<EventKind> events;
    bench.worker_->on_event = [&](const Event& event) { events.push_back(event.kind); };
    bench.engine_.take()->set_persistent_keepalive(bench.peer_, 25s, read_clocks());
    bench.worker_->settings_changed();
    EXPECT_THAT(events, ::testing::ElementsAre(EventKind::InitiationSent));
  });
}

TEST(Worker, rests_when_there_is_nothing_to_do) {
  with_bench([](Bench& bench) {
    TunDevice device = bench.make_device();
    bench.worker_->set_device(&device);
    run_for(bench.io_, 100ms);
    EXPECT_LT(run_for(bench.io_, 300ms), 30u);
    output_of("ip link set worker0 down");
    run_for(bench.io_, 50ms);
    EXPECT_LT(run_for(bench.io_, 300ms), 10u);
    bench.worker_->set_device(nullptr);
  });
}

TEST(Worker, goes_on_when_the_device_was_down_for_a_while) {
  with_bench([](Bench& bench) {
    TunDevice device = bench.make_device();
    bench.worker_->set_device(&device);
    output_of("ip link set worker0 down");
    run_for(bench.io_, 20ms);
    output_of("ip link set worker0 up");
    bench.send_frame();
    run_until(bench.io_, [&] { return !bench.arrived().empty(); });
    bench.worker_->set_device(nullptr);
  });
}

TEST(Worker, tells_once_that_the_device_was_deleted_and_then_rests) {
  with_bench([](Bench& bench) {
    TunDevice device = bench.make_device();
    int lost = 0;
    bench.worker_->on_device_lost = [&] { ++lost; };
    bench.worker_->set_device(&device);
    run_for(bench.io_, 20ms);
    output_of("ip link del worker0");
    run_until(bench.io_, [&] { return lost > 0; });
    EXPECT_LT(run_for(bench.io_, 300ms), 10u);
    EXPECT_EQ(lost, 1);
    bench.worker_->set_device(nullptr);
  });
}

TEST(Worker, takes_another_device_from_within_the_news_that_one_was_deleted) {
  with_bench([](Bench& bench) {
    std::optional<TunDevice> device = bench.make_device();
    bench.worker_->on_device_lost = [&] {
      bench.worker_->set_device(nullptr);
      device.reset();
      device = bench.make_device();
      bench.worker_->set_device(&*device);
    };
    bench.worker_->set_device(&*device);
    run_for(bench.io_, 20ms);
    const long before = open_descriptors();
    for (int i = 0; i < 5; ++i) {
      output_of("ip link del worker0");
      run_for(bench.io_, 50ms);
    }
    EXPECT_EQ(open_descriptors(), before);
    bench.send_frame();
    run_until(bench.io_, [&] { return !bench.arrived().empty(); });
    bench.worker_->set_device(nullptr);
  });
}

TEST(Worker, moves_to_other_sockets_and_closes_the_old_ones) {
  with_bench([](Bench& bench) {
    run_for(bench.io_, 20ms);
    const long before = open_descriptors();
    const std::uint16_t old_port = bench.sockets_.port();
    bench.worker_->replace_sockets(UdpSocketPair::bind(0, 0));
    run_for(bench.io_, 20ms);
    EXPECT_EQ(open_descriptors(), before);
    EXPECT_NE(bench.sockets_.port(), old_port);
    EXPECT_NO_THROW((void)UdpSocketPair::bind(old_port, 0));
    bench.send_datagram(33);
    run_until(bench.io_, [&] { return bench.dropped(DropReason::MessageType) == 1; });
    EXPECT_LT(run_for(bench.io_, 200ms), 10u);
  });
}

TEST(Worker, counts_what_the_kernel_refused_beside_what_the_engine_dropped) {
  with_bench([](Bench& bench) {
    bench.engine_.take()->set_endpoint(bench.peer_, *Endpoint::parse("192.0.2.1:9"));  // no route
    bench.engine_.take()->set_persistent_keepalive(bench.peer_, 25s, read_clocks());
    bench.engine_.take()->count_drop(DropReason::Replay, 3);
    bench.worker_->settings_changed();
    EXPECT_EQ(bench.dropped(DropReason::SocketError), 1u);
    EXPECT_EQ(bench.dropped(DropReason::Replay), 3u);
  });
}

TEST(Worker, lets_an_exception_out_instead_of_going_on_without_a_part_of_itself) {
  with_bench([](Bench& bench) {
    TunDevice device = bench.make_device();
    bench.worker_->on_event = [](const Event&) { throw std::runtime_error("no more"); };
    bench.worker_->set_device(&device);
    bench.send_frame();
    EXPECT_THROW(run_for(bench.io_, 5s), std::runtime_error);
    bench.worker_->on_event = nullptr;
    bench.worker_->set_device(nullptr);
  });
}

TEST(Worker, gives_up_every_descriptor_at_its_end_though_the_io_context_lives_on) {
  with_bench([](Bench& bench) {
    bench.worker_.reset();
    run_for(bench.io_, 20ms);
    const long before = open_descriptors();
    {
      TunDevice device = bench.make_device();
      Worker worker(bench.io_, bench.engine_, bench.sockets_);
      worker.set_device(&device);
      run_for(bench.io_, 20ms);
    }
    EXPECT_EQ(open_descriptors(), before);
    EXPECT_EQ(output_of("ip link show | grep worker0 || true"), "");
    run_for(bench.io_, 20ms);
  });
}

}  // namespace
}  // namespace culvert
