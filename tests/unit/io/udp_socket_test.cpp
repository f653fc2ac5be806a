// Binding and receiving, against plain sockets of the running kernel.
#include "culvert/io/udp_socket.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <linux/udp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <functional>
#include <set>
#include <system_error>
#include <vector>

#include "culvert/io/socket_address.hpp"
#include "support/expect_system_error.hpp"
#include "support/own_namespace.hpp"
#include "support/restrictions.hpp"

namespace culvert {
namespace {

using test::expect_system_error;
using test::in_own_namespace;
using test::output_of;
using ::testing::AllOf;
using ::testing::HasSubstr;

int option(int fd, int level, int name) {
  int value = -1;
  socklen_t size = sizeof value;
  EXPECT_EQ(::getsockopt(fd, level, name, &value, &size), 0) << std::strerror(errno);
  return value;
}

Address address(const char* text) {
  return Address::parse(text).value();
}

// A plain socket that sends to `to`, from `from` if given.
class Sender {
 public:
  explicit Sender(const Endpoint& to, std::optional<Endpoint> from = std::nullopt)
      : is_v4_(to.address.is_v4()),
        fd_(::socket(is_v4_ ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0)),
        length_(to_socket_address(to, to_)) {
    if (!from) return;
    sockaddr_storage local{};
    const socklen_t length = to_socket_address(*from, local);
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&local), length), 0) << std::strerror(errno);
  }
  void set_traffic_class(int value) {
    const int result = is_v4_ ? ::setsockopt(fd_.get(), IPPROTO_IP, IP_TOS, &value, sizeof value)
                              : ::setsockopt(fd_.get(), IPPROTO_IPV6, IPV6_TCLASS, &value, sizeof value);
    EXPECT_EQ(result, 0);
  }
  // From now on each send() is one train of datagrams of `size` bytes; 0: one datagram.
  bool set_segment_size(int size) { return ::setsockopt(fd_.get(), IPPROTO_UDP, UDP_SEGMENT, &size, sizeof size) == 0; }
  ssize_t send(ByteView payload) {
    return ::sendto(fd_.get(), payload.data(), payload.size(), 0, reinterpret_cast<sockaddr*>(&to_), length_);
  }
  [[nodiscard]] Endpoint local() const {
    sockaddr_storage local{};
    socklen_t length = sizeof local;
    EXPECT_EQ(::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&local), &length), 0);
    return from_socket_address(local, length).value();
  }

 private:
  bool is_v4_;
  UniqueFd fd_;
  sockaddr_storage to_{};
  socklen_t length_;
};

// On a busy machine the kernel leaves even what comes over loopback to a thread of its own: worth a moment's patience.
std::vector<ReceivedDatagram> receive(UdpSocket& socket, ReceiveBatch& batch, int patience = 5000) {
  pollfd readable{socket.fd(), POLLIN, 0};
  ::poll(&readable, 1, patience);
  const auto received = socket.try_receive(batch);
  EXPECT_FALSE(received.has_error());
  if (!received) return {};
  return {received->begin(), received->end()};
}

std::string text_of(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

TEST(UdpSocket, binds_to_the_port_asked_for) {
  in_own_namespace([] {
    EXPECT_EQ(UdpSocket::bind(Family::V4, 51820, 0).port(), 51820);
    EXPECT_EQ(UdpSocket::bind(Family::V6, 51821, 0).port(), 51821);
    EXPECT_THAT(output_of("ip -o link"), HasSubstr("lo"));
  });
}

TEST(UdpSocket, picks_a_port_when_asked_for_any) {
  in_own_namespace([] {
    const auto one = UdpSocket::bind(Family::V4, 0, 0);
    const auto other = UdpSocket::bind(Family::V4, 0, 0);
    EXPECT_NE(one.port(), 0);
    EXPECT_NE(one.port(), other.port());
  });
}

TEST(UdpSocket, says_which_port_is_taken_and_what_to_do) {
  in_own_namespace([] {
    for (const Family family : {Family::V4, Family::V6}) {
      const auto first = UdpSocket::bind(family, 51820, 0);
      expect_system_error([&] { UdpSocket::bind(family, 51820, 0); }, std::errc::address_in_use,
                          AllOf(HasSubstr("51820"), HasSubstr(family == Family::V4 ? "IPv4" : "IPv6"),
                                HasSubstr("another program"), HasSubstr("ss -ulpn")));
    }
  });
}

TEST(UdpSocket, says_what_a_low_port_needs) {
  in_own_namespace([] {
    test::drop_capability(CAP_NET_BIND_SERVICE);
    expect_system_error([] { UdpSocket::bind(Family::V4, 53, 0); }, std::errc::permission_denied,
                        HasSubstr("CAP_NET_BIND_SERVICE"));
  });
}

TEST(UdpSocket, descriptor_does_not_block_and_is_not_inherited) {
  in_own_namespace([] {
    const auto socket = UdpSocket::bind(Family::V6, 0, 0);
    EXPECT_NE(::fcntl(socket.fd(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(::fcntl(socket.fd(), F_GETFD) & FD_CLOEXEC, 0);
  });
}

TEST(UdpSocket, asks_for_large_buffers) {
  in_own_namespace([] {
    const auto socket = UdpSocket::bind(Family::V4, 0, 0);
    const UniqueFd plain(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    EXPECT_GE(option(socket.fd(), SOL_SOCKET, SO_RCVBUF), option(plain.get(), SOL_SOCKET, SO_RCVBUF));
    EXPECT_GE(option(socket.fd(), SOL_SOCKET, SO_SNDBUF), option(plain.get(), SOL_SOCKET, SO_SNDBUF));
    // The system's limits give way to its own root only, not to that of a user namespace.
    const UniqueFd forced(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const int size = 4 << 20;
    if (::setsockopt(forced.get(), SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof size) < 0) return;
    EXPECT_GE(option(socket.fd(), SOL_SOCKET, SO_RCVBUF), size);
    EXPECT_GE(option(socket.fd(), SOL_SOCKET, SO_SNDBUF), size);
  });
}

TEST(UdpSocket, takes_the_buffers_it_gets_without_privilege) {
  in_own_namespace([] {
    test::drop_capability(CAP_NET_ADMIN);
    const auto socket = UdpSocket::bind(Family::V4, 0, 0);
    const UniqueFd plain(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    EXPECT_GE(option(socket.fd(), SOL_SOCKET, SO_RCVBUF), option(plain.get(), SOL_SOCKET, SO_RCVBUF));
  });
}

TEST(UdpSocket, leaves_datagrams_fragmentable) {
  in_own_namespace([] {
    EXPECT_EQ(option(UdpSocket::bind(Family::V4, 0, 0).fd(), IPPROTO_IP, IP_MTU_DISCOVER), IP_PMTUDISC_DONT);
    EXPECT_EQ(option(UdpSocket::bind(Family::V6, 0, 0).fd(), IPPROTO_IPV6, IPV6_MTU_DISCOVER), IPV6_PMTUDISC_DONT);
  });
}

TEST(UdpSocket, carries_the_firewall_mark) {
  in_own_namespace([] {
    auto socket = UdpSocket::bind(Family::V4, 0, 0xCA6C);
    EXPECT_EQ(option(socket.fd(), SOL_SOCKET, SO_MARK), 0xCA6C);
    EXPECT_FALSE(socket.set_firewall_mark(7).has_error());
    EXPECT_EQ(option(socket.fd(), SOL_SOCKET, SO_MARK), 7);
    EXPECT_FALSE(socket.set_firewall_mark(0).has_error());
    EXPECT_EQ(option(socket.fd(), SOL_SOCKET, SO_MARK), 0);
  });
}

TEST(UdpSocket, says_that_a_mark_needs_privilege_and_works_without_one) {
  in_own_namespace([] {
    test::drop_capability(CAP_NET_ADMIN);
    test::drop_capability(CAP_NET_RAW);
    expect_system_error([] { UdpSocket::bind(Family::V4, 0, 5); }, std::errc::operation_not_permitted,
                        AllOf(HasSubstr("mark 5"), HasSubstr("CAP_NET_ADMIN")));
    auto socket = UdpSocket::bind(Family::V4, 0, 0);
    EXPECT_TRUE(socket.set_firewall_mark(5).has_error());
  });
}

TEST(UdpSocket, has_nothing_at_first) {
  in_own_namespace([] {
    auto socket = UdpSocket::bind(Family::V4, 0, 0);
    ReceiveBatch batch;
    EXPECT_TRUE(receive(socket, batch, 300).empty());
  });
}

TEST(UdpSocket, tells_from_where_and_to_which_local_address_a_datagram_came) {
  in_own_namespace([] {
    output_of("ip addr add 10.7.0.1/24 dev lo && ip addr add 10.7.0.2/24 dev lo && ip addr add 10.7.0.3/24 dev lo");
    output_of(
        "ip addr add fd07::1/128 dev lo nodad && ip addr add fd07::2/128 dev lo nodad && ip addr add fd07::3/128 dev "
        "lo nodad");
    const auto lo = ::if_nametoindex("lo");
    ReceiveBatch batch;
    const std::vector<std::pair<const char*, const char*>> pairs{
        {"10.7.0.1", "10.7.0.2"}, {"10.7.0.3", "10.7.0.1"}, {"fd07::1", "fd07::2"}, {"fd07::3", "fd07::1"}};
    for (const auto& [from, to] : pairs) {
      SCOPED_TRACE(from);
      auto socket = UdpSocket::bind(address(from).family(), 0, 0);
      Sender sender({address(to), socket.port()}, Endpoint{address(from), 0});
      ASSERT_EQ(sender.send(bytes_of("hello")), 5);
      const auto datagrams = receive(socket, batch);
      ASSERT_EQ(datagrams.size(), 1U);
      EXPECT_EQ(text_of(datagrams[0].bytes), "hello");
      EXPECT_EQ(datagrams[0].path, (Path{sender.local(), address(to), lo}));
      EXPECT_EQ(datagrams[0].traffic_class, 0);
      EXPECT_FALSE(datagrams[0].is_truncated);
    }
  });
}

TEST(UdpSocket, keeps_the_scope_of_a_link_local_sender) {
  in_own_namespace([] {
    output_of("ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up");
    output_of("ip addr add fe80::a/64 dev v0 nodad && ip addr add fe80::b/64 dev v1 nodad");
    const auto v0 = ::if_nametoindex("v0");
    const auto v1 = ::if_nametoindex("v1");
    auto socket = UdpSocket::bind(Family::V6, 0, 0);
    Sender sender({address("fe80::b"), socket.port(), v0}, Endpoint{address("fe80::a"), 0, v0});
    ASSERT_EQ(sender.send(bytes_of("x")), 1) << std::strerror(errno);
    ReceiveBatch batch;
    const auto datagrams = receive(socket, batch);
    ASSERT_EQ(datagrams.size(), 1U);
    EXPECT_EQ(datagrams[0].path.remote, (Endpoint{address("fe80::a"), sender.local().port, v1}));
    EXPECT_EQ(datagrams[0].path.local, address("fe80::b"));
    EXPECT_EQ(datagrams[0].path.interface_index, v1);
  });
}

TEST(UdpSocket, tells_the_traffic_class_with_its_congestion_mark) {
  in_own_namespace([] {
    ReceiveBatch batch;
    for (const char* text : {"127.0.0.1", "::1"}) {
      auto socket = UdpSocket::bind(address(text).family(), 0, 0);
      Sender sender({address(text), socket.port()});
      sender.set_traffic_class(0xBA);
      ASSERT_EQ(sender.send(bytes_of("x")), 1);
      sender.set_traffic_class(0x01);
      ASSERT_EQ(sender.send(bytes_of("y")), 1);
      const auto datagrams = receive(socket, batch);
      ASSERT_EQ(datagrams.size(), 2U);
      EXPECT_EQ(datagrams[0].traffic_class, 0xBA) << text;
      EXPECT_EQ(datagrams[1].traffic_class, 0x01) << text;
    }
  });
}

TEST(UdpSocket, takes_datagrams_of_any_size_up_to_the_largest) {
  in_own_namespace([] {
    auto socket = UdpSocket::bind(Family::V4, 0, 0);
    Sender sender({address("127.0.0.1"), socket.port()});
    const std::vector<std::byte> large(65507, std::byte{0xAB});
    ASSERT_EQ(sender.send(large), 65507);
    ASSERT_EQ(sender.send({}), 0);
    ReceiveBatch batch;
    const auto datagrams = receive(socket, batch);
    ASSERT_EQ(datagrams.size(), 2U);
    EXPECT_EQ(datagrams[0].bytes.size(), 65507U);
    EXPECT_EQ(datagrams[0].bytes.back(), std::byte{0xAB});
    EXPECT_FALSE(datagrams[0].is_truncated);
    EXPECT_EQ(datagrams[1].bytes.size(), 0U);
  });
}

TEST(UdpSocket, tells_when_a_datagram_did_not_fit_its_slot) {
  in_own_namespace([] {
    auto socket = UdpSocket::bind(Family::V4, 0, 0);
    Sender sender({address("127.0.0.1"), socket.port()});
    ReceiveBatch batch(4, 100);
    for (const std::size_t size : {100U, 101U, 3U, 5000U}) {
      ASSERT_EQ(sender.send(std::vector<std::byte>(size)), static_cast<ssize_t>(size));
    }
    const auto datagrams = receive(socket, batch);
    ASSERT_EQ(datagrams.size(), 4U);
    EXPECT_FALSE(datagrams[0].is_truncated);
    EXPECT_TRUE(datagrams[1].is_truncated);
    EXPECT_FALSE(datagrams[2].is_truncated);
    EXPECT_TRUE(datagrams[3].is_truncated);
    EXPECT_EQ(datagrams[0].bytes.size(), 100U);
    EXPECT_EQ(datagrams[1].bytes.size(), 100U);
    EXPECT_EQ(datagrams[2].bytes.size(), 3U);
    EXPECT_EQ(datagrams[3].bytes.size(), 100U);
  });
}

TEST(UdpSocket, says_whether_it_merges_and_segments) {
  in_own_namespace([] {
    const auto plain = UdpSocket::bind(Family::V4, 0, 0, false);
    EXPECT_FALSE(plain.merges());
    EXPECT_FALSE(plain.segments());
    for (const Family family : {Family::V4, Family::V6}) {
      const auto socket = UdpSocket::bind(family, 0, 0);
      const UniqueFd other(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
      const int on = 1;
      EXPECT_EQ(socket.merges(), ::setsockopt(other.get(), IPPROTO_UDP, UDP_GRO, &on, sizeof on) == 0);
      EXPECT_EQ(socket.segments(), Sender({address("127.0.0.1"), 9}).set_segment_size(100));
    }
  });
}

TEST(UdpSocket, does_without_merging_and_segmenting_where_the_kernel_has_neither) {
  in_own_namespace([] {
    test::fail_system_call(SYS_setsockopt, ENOPROTOOPT, IPPROTO_UDP, 1);
    auto socket = UdpSocket::bind(Family::V4, 0, 0);
    EXPECT_FALSE(socket.merges());
    EXPECT_FALSE(socket.segments());
  });
}

// Bytes that tell their place.
std::vector<std::byte> counted(std::size_t size) {
  std::vector<std::byte> bytes(size);
  for (std::size_t i = 0; i < size; ++i) bytes[i] = static_cast<std::byte>(i * 7 + i / 256);
  return bytes;
}

// A merging socket at `text` and a sender to it; the test is skipped where the kernel lacks either end's part.
void with_train_sender(const char* text, const std::function<void(UdpSocket&, Sender&)>& body) {
  in_own_namespace([&] {
    auto socket = UdpSocket::bind(address(text).family(), 0, 0);
    Sender sender({address(text), socket.port()});
    if (!socket.merges() || !sender.set_segment_size(0)) GTEST_SKIP() << "the kernel has no UDP offloads";
    body(socket, sender);
  });
}

TEST(UdpSocket, tells_the_size_of_the_datagrams_that_arrive_as_one_with_their_path_and_class) {
  for (const char* text : {"127.0.0.1", "::1"}) {
    SCOPED_TRACE(text);
    with_train_sender(text, [text](UdpSocket& socket, Sender& sender) {
      sender.set_traffic_class(0xBA);
      ASSERT_TRUE(sender.set_segment_size(100));
      const auto payload = counted(1040);  // ten of 100 bytes and one of 40
      ASSERT_EQ(sender.send(payload), 1040) << std::strerror(errno);
      ReceiveBatch batch;
      const auto datagrams = receive(socket, batch);
      ASSERT_EQ(datagrams.size(), 1U);
      EXPECT_EQ(text_of(datagrams[0].bytes), text_of(payload));
      EXPECT_EQ(datagrams[0].segment_size, 100U);
      EXPECT_EQ(datagrams[0].traffic_class, 0xBA);
      EXPECT_EQ(datagrams[0].path.remote.port, sender.local().port);
      EXPECT_EQ(datagrams[0].path.local, address(text));
      EXPECT_EQ(datagrams[0].path.interface_index, ::if_nametoindex("lo"));
      EXPECT_FALSE(datagrams[0].is_truncated);
    });
  }
}

TEST(UdpSocket, the_segment_size_of_a_single_datagram_is_its_own_also_after_trains_in_the_same_slots) {
  with_train_sender("127.0.0.1", [](UdpSocket& socket, Sender& sender) {
    ReceiveBatch batch(4, 65536);
    for (int round = 0; round < 3; ++round) {
      ASSERT_TRUE(sender.set_segment_size(100));
      for (int i = 0; i < 4; ++i) ASSERT_EQ(sender.send(counted(300)), 300);
      std::size_t trains = 0;
      while (trains < 4) {
        const auto datagrams = receive(socket, batch);
        ASSERT_FALSE(datagrams.empty());
        for (const auto& datagram : datagrams) EXPECT_EQ(datagram.segment_size, 100U);
        trains += datagrams.size();
      }
      ASSERT_TRUE(sender.set_segment_size(0));
      for (const std::size_t size : {500U, 90U, 0U}) {
        ASSERT_EQ(sender.send(counted(size)), static_cast<ssize_t>(size));
        const auto datagrams = receive(socket, batch);
        ASSERT_EQ(datagrams.size(), 1U);
        EXPECT_EQ(datagrams[0].bytes.size(), size);
        EXPECT_EQ(datagrams[0].segment_size, size);
      }
    }
  });
}

TEST(UdpSocket, trains_and_single_datagrams_fill_one_slot_each_in_order) {
  with_train_sender("::1", [](UdpSocket& socket, Sender& sender) {
    for (const int segment_size : {0, 100, 0, 7, 1200}) {
      ASSERT_TRUE(sender.set_segment_size(segment_size));
      ASSERT_EQ(sender.send(counted(350)), 350);
    }
    ReceiveBatch batch(3, 65536);
    std::vector<std::size_t> segment_sizes;
    while (segment_sizes.size() < 5) {
      const auto datagrams = receive(socket, batch);
      ASSERT_FALSE(datagrams.empty());
      EXPECT_LE(datagrams.size(), 3U);
      for (const auto& datagram : datagrams) {
        EXPECT_EQ(text_of(datagram.bytes), text_of(counted(350)));
        segment_sizes.push_back(datagram.segment_size);
      }
    }
    EXPECT_EQ(segment_sizes, (std::vector<std::size_t>{350, 100, 350, 7, 350}));
  });
}

TEST(UdpSocket, a_train_that_did_not_fit_its_slot_is_truncated_as_a_whole) {
  with_train_sender("127.0.0.1", [](UdpSocket& socket, Sender& sender) {
    ASSERT_TRUE(sender.set_segment_size(100));
    ReceiveBatch batch(4, 250);
    for (const std::size_t size : {500U, 250U}) {
      ASSERT_EQ(sender.send(counted(size)), static_cast<ssize_t>(size));
      const auto datagrams = receive(socket, batch);
      ASSERT_EQ(datagrams.size(), 1U);
      EXPECT_EQ(datagrams[0].is_truncated, size > 250);
      EXPECT_EQ(datagrams[0].bytes.size(), 250U);
      EXPECT_EQ(datagrams[0].segment_size, 100U);
    }
  });
}

TEST(UdpSocket, gets_a_train_one_by_one_without_offloads) {
  in_own_namespace([] {
    auto socket = UdpSocket::bind(Family::V4, 0, 0, false);
    Sender sender({address("127.0.0.1"), socket.port()});
    if (!sender.set_segment_size(100)) GTEST_SKIP() << "the kernel has no UDP_SEGMENT";
    ASSERT_EQ(sender.send(counted(250)), 250);
    ReceiveBatch batch;
    std::vector<std::size_t> sizes;
    while (sizes.size() < 3) {
      const auto datagrams = receive(socket, batch);
      ASSERT_FALSE(datagrams.empty());
      for (const auto& datagram : datagrams) {
        sizes.push_back(datagram.bytes.size());
        EXPECT_EQ(datagram.segment_size, datagram.bytes.size());
      }
    }
    EXPECT_EQ(sizes, (std::vector<std::size_t>{100, 100, 50}));
  });
}

TEST(UdpSocket, receives_one_batch_after_the_other_in_order) {
  in_own_namespace([] {
    auto socket = UdpSocket::bind(Family::V6, 0, 0);
    Sender sender({address("::1"), socket.port()});
    for (char c = 'a'; c <= 'j'; ++c) ASSERT_EQ(sender.send(bytes_of(std::string_view(&c, 1))), 1);
    ReceiveBatch batch(4, 64);
    std::string all;
    std::vector<std::size_t> sizes;
    do {
      const auto datagrams = receive(socket, batch, 500);
      sizes.push_back(datagrams.size());
      for (const auto& datagram : datagrams) {
        all += text_of(datagram.bytes);
        EXPECT_EQ(datagram.path.local, address("::1"));
      }
    } while (sizes.back() != 0);
    EXPECT_EQ(all, "abcdefghij");
    EXPECT_EQ(sizes, (std::vector<std::size_t>{4, 4, 2, 0}));
  });
}

TEST(UdpSocket, ipv6_socket_takes_ipv6_only) {
  in_own_namespace([] {
    auto socket = UdpSocket::bind(Family::V6, 0, 0);
    Sender sender({address("127.0.0.1"), socket.port()});
    ASSERT_EQ(sender.send(bytes_of("x")), 1);
    ReceiveBatch batch;
    EXPECT_TRUE(receive(socket, batch, 300).empty());
  });
}

TEST(UdpSocket, an_unreachable_peer_leaves_no_error_behind) {
  in_own_namespace([] {
    for (const char* text : {"127.0.0.1", "::1"}) {
      auto socket = UdpSocket::bind(address(text).family(), 0, 0);
      sockaddr_storage closed{};
      const socklen_t length = to_socket_address({address(text), 9}, closed);
      for (int i = 0; i < 3; ++i) {
        EXPECT_EQ(::sendto(socket.fd(), "x", 1, 0, reinterpret_cast<sockaddr*>(&closed), length), 1) << text;
      }
      ReceiveBatch batch;
      EXPECT_TRUE(receive(socket, batch, 300).empty());
    }
  });
}

TEST(UdpSocket, a_pending_error_does_not_hide_the_datagrams_behind_it) {
  in_own_namespace([] {
    auto socket = UdpSocket::bind(Family::V4, 0, 0);
    const int on = 1;
    ASSERT_EQ(::setsockopt(socket.fd(), IPPROTO_IP, IP_RECVERR, &on, sizeof on), 0);
    sockaddr_storage closed{};
    const socklen_t length = to_socket_address({address("127.0.0.1"), 9}, closed);
    ASSERT_EQ(::sendto(socket.fd(), "x", 1, 0, reinterpret_cast<sockaddr*>(&closed), length), 1);
    Sender sender({address("127.0.0.1"), socket.port()});
    ASSERT_EQ(sender.send(bytes_of("x")), 1);
    ReceiveBatch batch;
    EXPECT_EQ(receive(socket, batch).size(), 1U);
  });
}

TEST(UdpSocket, swallows_errors_of_datagrams_sent_earlier_without_spinning) {
  for (const int error : {EINTR, ECONNREFUSED, ECONNRESET, EHOSTUNREACH, ENETUNREACH, EHOSTDOWN, ENETDOWN, ENOPROTOOPT,
                          EMSGSIZE, EPROTO, EACCES}) {
    in_own_namespace([error] {
      auto socket = UdpSocket::bind(Family::V4, 0, 0);
      test::fail_system_call(SYS_recvmmsg, error);
      ReceiveBatch batch;
      EXPECT_TRUE(receive(socket, batch, 300).empty()) << std::strerror(error);
    });
  }
}

TEST(UdpSocket, reports_errors_of_the_machine) {
  for (const int error : {ENOMEM, ENOBUFS, EBADF}) {
    in_own_namespace([error] {
      auto socket = UdpSocket::bind(Family::V4, 0, 0);
      test::fail_system_call(SYS_recvmmsg, error);
      ReceiveBatch batch;
      const auto received = socket.try_receive(batch);
      ASSERT_TRUE(received.has_error());
      EXPECT_EQ(received.error().value(), error);
    });
  }
}

TEST(UdpSocketPair, binds_both_families_to_one_port) {
  in_own_namespace([] {
    for (const std::uint16_t port : {std::uint16_t{0}, std::uint16_t{51820}}) {
      const auto pair = UdpSocketPair::bind(port, 3);
      ASSERT_TRUE(pair.v4 && pair.v6);
      EXPECT_EQ(pair.v4->port(), pair.v6->port());
      EXPECT_EQ(pair.port(), pair.v4->port());
      EXPECT_EQ(pair.v4->family(), Family::V4);
      EXPECT_EQ(pair.v6->family(), Family::V6);
      EXPECT_EQ(option(pair.v6->fd(), SOL_SOCKET, SO_MARK), 3);
      EXPECT_TRUE(port == 0 || pair.port() == port);
    }
  });
}

TEST(UdpSocketPair, refuses_a_port_that_is_taken_in_either_family) {
  in_own_namespace([] {
    for (const Family family : {Family::V4, Family::V6}) {
      const auto taken = UdpSocket::bind(family, 51820, 0);
      expect_system_error([] { UdpSocketPair::bind(51820, 0); }, std::errc::address_in_use, HasSubstr("51820"));
    }
  });
}

TEST(UdpSocketPair, tries_another_random_port_when_ipv6_has_it_taken) {
  in_own_namespace([] {
    output_of("echo 40000 40001 > /proc/sys/net/ipv4/ip_local_port_range");
    const auto taken = UdpSocket::bind(Family::V6, 40000, 0);
    EXPECT_EQ(UdpSocketPair::bind(0, 0).port(), 40001);
  });
}

TEST(UdpSocketPair, gives_up_when_no_random_port_is_free_in_both) {
  in_own_namespace([] {
    output_of("echo 40000 40001 > /proc/sys/net/ipv4/ip_local_port_range");
    const auto one = UdpSocket::bind(Family::V6, 40000, 0);
    const auto other = UdpSocket::bind(Family::V6, 40001, 0);
    expect_system_error([] { UdpSocketPair::bind(0, 0); }, std::errc::address_in_use, HasSubstr("IPv6"));
  });
}

TEST(UdpSocketPair, goes_on_with_ipv4_where_ipv6_is_missing) {
  in_own_namespace([] {
    test::fail_system_call(SYS_socket, EAFNOSUPPORT, AF_INET6);
    for (const std::uint16_t port : {std::uint16_t{0}, std::uint16_t{51820}}) {
      const auto pair = UdpSocketPair::bind(port, 0);
      EXPECT_TRUE(pair.v4);
      EXPECT_FALSE(pair.v6);
      EXPECT_EQ(pair.port(), pair.v4->port());
    }
  });
}

TEST(UdpSocketPair, goes_on_with_ipv6_where_ipv4_is_missing) {
  in_own_namespace([] {
    test::fail_system_call(SYS_socket, EAFNOSUPPORT, AF_INET);
    const auto pair = UdpSocketPair::bind(51820, 0);
    EXPECT_FALSE(pair.v4);
    EXPECT_TRUE(pair.v6);
    EXPECT_EQ(pair.port(), 51820);
  });
}

TEST(UdpSocketPair, cannot_do_without_both) {
  in_own_namespace([] {
    test::fail_system_call(SYS_socket, EAFNOSUPPORT);
    expect_system_error([] { UdpSocketPair::bind(51820, 0); }, std::errc::address_family_not_supported,
                        HasSubstr("neither IPv4 nor IPv6"));
  });
}

TEST(UdpSocketPair, does_not_hide_other_failures_of_one_family) {
  in_own_namespace([] {
    test::fail_system_call(SYS_socket, EMFILE, AF_INET6);
    expect_system_error([] { UdpSocketPair::bind(0, 0); }, std::errc::too_many_files_open, HasSubstr("IPv6"));
  });
}

TEST(UdpSocketPair, works_where_ipv6_is_switched_off) {
  in_own_namespace([] {
    output_of("echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6");
    const auto pair = UdpSocketPair::bind(0, 0);
    ASSERT_TRUE(pair.v4);
    Sender sender({address("127.0.0.1"), pair.port()});
    ASSERT_EQ(sender.send(bytes_of("x")), 1);
    ReceiveBatch batch;
    EXPECT_EQ(receive(*pair.v4, batch).size(), 1U);
  });
}

TEST(UdpSocketGroup, is_on_one_port_in_both_families_whichever_it_is) {
  in_own_namespace([] {
    for (const std::uint16_t wanted : {std::uint16_t{0}, std::uint16_t{51820}}) {
      const auto group = UdpSocketPair::bind_group(4, wanted, 0);
      ASSERT_EQ(group.size(), 4U);
      const std::uint16_t port = group.front().port();
      EXPECT_TRUE(port == wanted || (wanted == 0 && port != 0));
      for (const UdpSocketPair& pair : group) {
        EXPECT_EQ(pair.v4->port(), port);
        EXPECT_EQ(pair.v6->port(), port);
      }
    }
  });
}

TEST(UdpSocketGroup, of_one_shares_nothing) {
  in_own_namespace([] {
    const auto group = UdpSocketPair::bind_group(1, 51820, 0);
    ASSERT_EQ(group.size(), 1U);
    EXPECT_EQ(option(group.front().v4->fd(), SOL_SOCKET, SO_REUSEPORT), 0);
  });
}

TEST(UdpSocketGroup, does_not_join_what_others_share) {
  in_own_namespace([] {
    for (const Family family : {Family::V4, Family::V6}) {
      const auto other = UdpSocket::bind(family, 51820, 0, true, true);
      expect_system_error([] { UdpSocketPair::bind_group(2, 51820, 0); }, std::errc::address_in_use,
                          HasSubstr("51820"));
    }
    const auto group = UdpSocketPair::bind_group(2, 51820, 0);
    expect_system_error([] { UdpSocketPair::bind_group(2, 51820, 0); }, std::errc::address_in_use, HasSubstr("51820"));
  });
}

TEST(UdpSocketGroup, hands_all_datagrams_of_one_sender_to_one_member_and_of_many_to_all) {
  in_own_namespace([] {
    for (const char* here : {"127.0.0.1", "::1"}) {
      const auto group = UdpSocketPair::bind_group(3, 0, 0);
      std::set<std::size_t> used;
      ReceiveBatch batch;
      for (int number = 0; number < 100 && used.size() < group.size(); ++number) {
        Sender sender({address(here), group.front().port()});
        for (int i = 0; i < 5; ++i) ASSERT_EQ(sender.send(bytes_of("x")), 1);
        std::vector<pollfd> readable;
        for (const auto& pair : group) {
          readable.push_back({(here[0] == ':' ? pair.v6 : pair.v4)->fd(), POLLIN, 0});
        }
        std::size_t received = 0;
        std::set<std::size_t> used_by_this;
        while (received < 5) {
          ASSERT_GT(::poll(readable.data(), readable.size(), 5000), 0);
          for (std::size_t i = 0; i < group.size(); ++i) {
            if (readable[i].revents == 0) continue;
            for (const auto& one : *(here[0] == ':' ? group[i].v6 : group[i].v4)->try_receive(batch)) {
              received += one.bytes.size();
            }
            used_by_this.insert(i);
          }
        }
        EXPECT_EQ(used_by_this.size(), 1U);
        used.merge(used_by_this);
      }
      EXPECT_EQ(used.size(), group.size());
    }
  });
}

}  // namespace
}  // namespace culvert
