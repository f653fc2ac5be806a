// Sending through the running kernel.
#include "culvert/io/datagram_batch.hpp"

#include <gmock/gmock.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include <deque>
#include <string>
#include <vector>

#include "culvert/io/tun_device.hpp"
#include "support/own_namespace.hpp"

// What the next calls of sendmmsg on this thread do: fail with the errno given, or send but one datagram.
thread_local std::deque<int> scripted_answers;
constexpr int one_only = -1;

// Takes the place of libc's, so that a test can script the errors that a kernel gives when it is in trouble.
extern "C" int sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) {
  int answer = 0;
  if (!scripted_answers.empty()) {
    answer = scripted_answers.front();
    scripted_answers.pop_front();
  }
  if (answer > 0) {
    errno = answer;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_sendmmsg, fd, messages, answer == one_only ? 1U : count, flags));
}

namespace culvert {
namespace {

using test::in_own_namespace;
using test::output_of;

Address address(const char* text) {
  return Address::parse(text).value();
}

std::string text_of(ByteView bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Writes and commits one datagram.
void put(DatagramBatch& batch, const Path& path, std::string_view text, std::uint8_t traffic_class = 0) {
  const ByteSpan memory = batch.reserve(path, traffic_class, text.size());
  ASSERT_EQ(memory.size(), text.size());
  copy_bytes(bytes_of(text), memory);
  batch.commit();
}

struct Arrived {
  std::string text;
  Path path;
  std::uint8_t traffic_class;
};

// Until nothing has come for a moment: on a busy machine the kernel leaves even loopback to a thread of its own.
std::vector<Arrived> receive_all(UdpSocket& socket) {
  ReceiveBatch batch;
  std::vector<Arrived> all;
  for (;;) {
    pollfd readable{socket.fd(), POLLIN, 0};
    ::poll(&readable, 1, all.empty() ? 500 : 100);
    const auto received = socket.try_receive(batch);
    EXPECT_FALSE(received.has_error());
    if (!received || received->empty()) return all;
    for (const auto& datagram : *received) {
      all.push_back({text_of(datagram.bytes), datagram.path, datagram.traffic_class});
    }
  }
}

std::vector<std::string> texts(UdpSocket& socket) {
  std::vector<std::string> all;
  for (const auto& arrived : receive_all(socket)) all.push_back(arrived.text);
  return all;
}

using Texts = std::vector<std::string>;

// Two ends in one namespace, with three addresses of each family to tell apart.
struct Ends {
  Ends() {
    output_of("for n in 1 2 3; do ip addr add 10.7.0.$n/32 dev lo && ip addr add fd07::$n/128 dev lo nodad; done");
  }
  UdpSocketPair ours = UdpSocketPair::bind(0, 0, false);
  UdpSocketPair theirs = UdpSocketPair::bind(0, 0, false);
  DatagramBatch batch{ours};

  [[nodiscard]] Path to(const char* remote, const char* local = nullptr) const {
    return {{address(remote), theirs.port()},
            local ? std::optional(address(local)) : std::nullopt,
            local ? ::if_nametoindex("lo") : 0};
  }
};

TEST(DatagramBatch, sends_nothing_before_the_flush) {
  in_own_namespace([] {
    Ends ends;
    put(ends.batch, ends.to("127.0.0.1"), "x");
    EXPECT_EQ(texts(*ends.theirs.v4), Texts{});
    ends.batch.flush();
    EXPECT_EQ(texts(*ends.theirs.v4), Texts{"x"});
    ends.batch.flush();
    EXPECT_EQ(texts(*ends.theirs.v4), Texts{});
    EXPECT_EQ(ends.batch.counters().sent, 1U);
  });
}

TEST(DatagramBatch, both_families_arrive_in_order_also_when_more_than_fit_at_once) {
  in_own_namespace([] {
    Ends ends;
    Texts expected;
    for (int i = 0; i < 200; ++i) {
      expected.push_back(std::to_string(i));
      put(ends.batch, ends.to("127.0.0.1"), expected.back());
      put(ends.batch, ends.to("::1"), expected.back());
    }
    ends.batch.flush();
    EXPECT_EQ(texts(*ends.theirs.v4), expected);
    EXPECT_EQ(texts(*ends.theirs.v6), expected);
    EXPECT_EQ(ends.batch.counters().sent, 400U);
    EXPECT_EQ(ends.batch.counters().refused, 0U);
  });
}

TEST(DatagramBatch, flushes_by_itself_when_its_memory_is_full) {
  in_own_namespace([] {
    Ends ends;
    DatagramBatch small(ends.ours, 64, 65507);
    const std::string large(30000, 'a');
    put(small, ends.to("127.0.0.1"), large);
    put(small, ends.to("127.0.0.1"), large);
    EXPECT_EQ(small.counters().sent, 0U);
    put(small, ends.to("127.0.0.1"), large);
    EXPECT_EQ(small.counters().sent, 2U);
    small.flush();
    EXPECT_EQ(texts(*ends.theirs.v4), (Texts{large, large, large}));
  });
}

TEST(DatagramBatch, carries_the_largest_datagram_and_refuses_one_byte_more) {
  in_own_namespace([] {
    Ends ends;
    DatagramBatch tiny(ends.ours, 1, 1);
    const std::string largest(65507, 'z');
    put(tiny, ends.to("127.0.0.1"), largest);
    tiny.flush();
    EXPECT_EQ(texts(*ends.theirs.v4), Texts{largest});
    EXPECT_TRUE(ends.batch.reserve(ends.to("127.0.0.1"), 0, 65508).empty());
    EXPECT_TRUE(ends.batch.reserve(ends.to("127.0.0.1"), 0, 0).empty());
    ends.batch.commit();
    ends.batch.flush();
    EXPECT_EQ(texts(*ends.theirs.v4), Texts{});
  });
}

TEST(DatagramBatch, a_reservation_that_is_not_committed_never_happened) {
  in_own_namespace([] {
    Ends ends;
    copy_bytes(bytes_of("lost"), ends.batch.reserve(ends.to("::1"), 0, 4));
    put(ends.batch, ends.to("127.0.0.1"), "kept");
    ends.batch.commit();
    copy_bytes(bytes_of("gone"), ends.batch.reserve(ends.to("127.0.0.1"), 0, 4));
    ends.batch.flush();
    ends.batch.commit();
    ends.batch.flush();
    EXPECT_EQ(texts(*ends.theirs.v4), Texts{"kept"});
    EXPECT_EQ(texts(*ends.theirs.v6), Texts{});
  });
}

TEST(DatagramBatch, sends_from_the_local_address_of_the_path) {
  in_own_namespace([] {
    Ends ends;
    for (const char* source : {"10.7.0.1", "10.7.0.2", "10.7.0.3"})
      put(ends.batch, ends.to("10.7.0.1", source), source);
    for (const char* source : {"fd07::1", "fd07::2", "fd07::3"}) put(ends.batch, ends.to("fd07::1", source), source);
    ends.batch.flush();
    auto arrived = receive_all(*ends.theirs.v4);
    for (auto& each : receive_all(*ends.theirs.v6)) arrived.push_back(each);
    ASSERT_EQ(arrived.size(), 6U);
    for (const auto& each : arrived) {
      EXPECT_EQ(each.path.remote.address.to_string(), each.text);
      EXPECT_EQ(each.path.remote.port, ends.ours.port());
    }
    EXPECT_EQ(ends.batch.counters().source_forgotten, 0U);
  });
}

TEST(DatagramBatch, an_answer_along_a_received_path_leaves_from_where_the_question_arrived) {
  in_own_namespace([] {
    Ends ends;
    DatagramBatch answers(ends.theirs);
    put(ends.batch, ends.to("10.7.0.3", "10.7.0.2"), "question");
    put(ends.batch, ends.to("fd07::3", "fd07::2"), "question");
    ends.batch.flush();
    for (auto [theirs, ours, remote] : {std::tuple(ends.theirs.v4.get(), ends.ours.v4.get(), "10.7.0.3"),
                                        std::tuple(ends.theirs.v6.get(), ends.ours.v6.get(), "fd07::3")}) {
      const auto questions = receive_all(*theirs);
      ASSERT_EQ(questions.size(), 1U);
      put(answers, questions[0].path, "answer");
      answers.flush();
      const auto arrived = receive_all(*ours);
      ASSERT_EQ(arrived.size(), 1U);
      EXPECT_EQ(arrived[0].path.remote, (Endpoint{address(remote), ends.theirs.port()}));
    }
  });
}

TEST(DatagramBatch, ignores_a_local_address_of_the_other_family) {
  in_own_namespace([] {
    Ends ends;
    put(ends.batch, ends.to("127.0.0.1", "fd07::1"), "x");
    put(ends.batch, ends.to("::1", "10.7.0.1"), "y");
    ends.batch.flush();
    EXPECT_EQ(texts(*ends.theirs.v4), Texts{"x"});
    EXPECT_EQ(texts(*ends.theirs.v6), Texts{"y"});
    EXPECT_EQ(ends.batch.counters().source_forgotten, 0U);
  });
}

TEST(DatagramBatch, sends_from_a_link_local_address_through_its_interface) {
  in_own_namespace([] {
    output_of("ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up");
    output_of("ip addr add fe80::a1/64 dev v0 nodad && ip addr add fe80::a2/64 dev v0 nodad");
    output_of("ip addr add fe80::b/64 dev v1 nodad");
    Ends ends;
    const auto v0 = ::if_nametoindex("v0");
    for (const char* source : {"fe80::a1", "fe80::a2"}) {
      put(ends.batch, {{address("fe80::b"), ends.theirs.port(), v0}, address(source), v0}, source);
    }
    ends.batch.flush();
    const auto arrived = receive_all(*ends.theirs.v6);
    ASSERT_EQ(arrived.size(), 2U);
    for (const auto& each : arrived) {
      EXPECT_EQ(each.path.remote, (Endpoint{address(each.text.c_str()), ends.ours.port(), ::if_nametoindex("v1")}));
    }
    EXPECT_EQ(ends.batch.counters().source_forgotten, 0U);
  });
}

TEST(DatagramBatch, writes_the_traffic_class_of_each_datagram) {
  in_own_namespace([] {
    Ends ends;
    const std::vector<std::uint8_t> classes{0x00, 0xBA, 0x03, 0x00, 0xFF, 0x01};
    for (const std::uint8_t each : classes) {
      put(ends.batch, ends.to("10.7.0.1", "10.7.0.2"), "x", each);
      put(ends.batch, ends.to("::1"), "x", each);
    }
    ends.batch.flush();
    for (UdpSocket* socket : {ends.theirs.v4.get(), ends.theirs.v6.get()}) {
      std::vector<std::uint8_t> seen;
      for (const auto& arrived : receive_all(*socket)) seen.push_back(arrived.traffic_class);
      EXPECT_EQ(seen, classes);
    }
  });
}

TEST(DatagramBatch, sends_without_the_source_when_that_address_is_gone) {
  in_own_namespace([] {
    Ends ends;
    output_of("ip addr del 10.7.0.2/32 dev lo && ip addr del fd07::2/128 dev lo");
    for (const char* text : {"1", "2", "3"}) {
      put(ends.batch, ends.to("10.7.0.1", "10.7.0.2"), text, 0x02);
      put(ends.batch, ends.to("10.7.0.1", "10.7.0.3"), std::string(text) + " keeps its source");
      put(ends.batch, ends.to("fd07::1", "fd07::2"), text, 0x02);
    }
    ends.batch.flush();
    const auto v4 = receive_all(*ends.theirs.v4);
    ASSERT_EQ(v4.size(), 6U);
    for (std::size_t i = 0; i < 6; i += 2) {
      EXPECT_EQ(v4[i].text, std::to_string(i / 2 + 1));
      EXPECT_EQ(v4[i].traffic_class, 0x02);
      EXPECT_EQ(v4[i + 1].path.remote.address, address("10.7.0.3"));
    }
    const auto v6 = receive_all(*ends.theirs.v6);
    ASSERT_EQ(v6.size(), 3U);
    for (const auto& each : v6) EXPECT_EQ(each.traffic_class, 0x02);
    EXPECT_EQ(ends.batch.counters().sent, 9U);
    EXPECT_EQ(ends.batch.counters().refused, 0U);
    EXPECT_EQ(ends.batch.counters().source_forgotten, 6U);

    put(ends.batch, ends.to("10.7.0.1", "10.7.0.3"), "4");
    put(ends.batch, ends.to("fd07::1", "fd07::3"), "4");
    ends.batch.flush();
    EXPECT_EQ(ends.batch.counters().sent, 11U);
    EXPECT_EQ(ends.batch.counters().source_forgotten, 6U);
  });
}

TEST(DatagramBatch, an_unreachable_destination_costs_that_datagram_only) {
  in_own_namespace([] {
    Ends ends;
    put(ends.batch, ends.to("127.0.0.1"), "1");
    put(ends.batch, ends.to("192.0.2.1"), "no route");
    put(ends.batch, ends.to("192.0.2.1", "10.7.0.1"), "no route from there either");
    put(ends.batch, ends.to("127.0.0.1"), "2");
    put(ends.batch, ends.to("127.255.255.255"), "broadcasting is not allowed");
    put(ends.batch, ends.to("127.255.255.255", "10.7.0.1"), "nor from there");
    put(ends.batch, ends.to("127.0.0.1"), "3");
    put(ends.batch, ends.to("2001:db8::1"), "no route");
    put(ends.batch, ends.to("::1"), "4");
    ends.batch.flush();
    EXPECT_EQ(texts(*ends.theirs.v4), (Texts{"1", "2", "3"}));
    EXPECT_EQ(texts(*ends.theirs.v6), Texts{"4"});
    EXPECT_EQ(ends.batch.counters().sent, 4U);
    EXPECT_EQ(ends.batch.counters().refused, 5U);
    EXPECT_EQ(ends.batch.counters().source_forgotten, 0U);
  });
}

TEST(DatagramBatch, counts_datagrams_of_a_missing_family_as_refused) {
  in_own_namespace([] {
    Ends ends;
    ends.ours.v6.reset();
    put(ends.batch, ends.to("::1"), "lost");
    put(ends.batch, ends.to("127.0.0.1"), "kept");
    ends.batch.flush();
    EXPECT_EQ(texts(*ends.theirs.v4), Texts{"kept"});
    EXPECT_EQ(ends.batch.counters().sent, 1U);
    EXPECT_EQ(ends.batch.counters().refused, 1U);
  });
}

TEST(DatagramBatch, drops_the_rest_when_the_kernel_has_no_room_and_goes_on_with_the_next_batch) {
  for (const int error : {ENOBUFS, EAGAIN, ENOMEM}) {
    in_own_namespace([error] {
      Ends ends;
      put(ends.batch, ends.to("127.0.0.1"), "1");
      put(ends.batch, ends.to("127.0.0.1"), "2");
      put(ends.batch, ends.to("127.0.0.1"), "3");
      put(ends.batch, ends.to("::1"), "4");
      scripted_answers = {one_only, error};
      ends.batch.flush();
      EXPECT_EQ(texts(*ends.theirs.v4), Texts{"1"});
      EXPECT_EQ(texts(*ends.theirs.v6), Texts{"4"});
      EXPECT_EQ(ends.batch.counters().refused, 2U);
      EXPECT_EQ(ends.batch.counters().sent, 2U);
      put(ends.batch, ends.to("127.0.0.1"), "5");
      ends.batch.flush();
      EXPECT_EQ(texts(*ends.theirs.v4), Texts{"5"});
    });
  }
}

TEST(DatagramBatch, sends_all_when_the_kernel_takes_few_at_a_time_or_is_interrupted) {
  in_own_namespace([] {
    Ends ends;
    for (const char* text : {"1", "2", "3", "4"}) put(ends.batch, ends.to("127.0.0.1"), text);
    scripted_answers = {one_only, EINTR, one_only, EINTR, EINTR};
    ends.batch.flush();
    EXPECT_EQ(texts(*ends.theirs.v4), (Texts{"1", "2", "3", "4"}));
    EXPECT_EQ(ends.batch.counters().sent, 4U);
    EXPECT_EQ(ends.batch.counters().refused, 0U);
  });
}

TEST(DatagramBatch, an_error_that_has_nothing_to_do_with_the_source_is_not_answered_by_another_source) {
  for (const int error : {EPERM, EACCES, EMSGSIZE}) {
    in_own_namespace([error] {
      Ends ends;
      for (const char* text : {"1", "2"}) put(ends.batch, ends.to("10.7.0.1", "10.7.0.2"), text);
      scripted_answers = {error};
      ends.batch.flush();
      EXPECT_EQ(texts(*ends.theirs.v4), Texts{"2"});
      EXPECT_EQ(ends.batch.counters().refused, 1U);
      EXPECT_EQ(ends.batch.counters().source_forgotten, 0U);
    });
  }
}

TEST(DatagramBatch, tries_once_more_without_the_source_when_that_may_be_to_blame) {
  for (const int error : {EINVAL, EADDRNOTAVAIL, ENETUNREACH, ENETDOWN, EHOSTUNREACH, ENODEV, ENXIO}) {
    in_own_namespace([error] {
      Ends ends;
      put(ends.batch, ends.to("10.7.0.1", "10.7.0.2"), "1");
      put(ends.batch, ends.to("10.7.0.1", "10.7.0.2"), "2");
      scripted_answers = {error};
      ends.batch.flush();
      for (const auto& arrived : receive_all(*ends.theirs.v4)) {
        EXPECT_NE(arrived.path.remote.address, address("10.7.0.2"));
      }
      EXPECT_EQ(ends.batch.counters().sent, 2U);
      EXPECT_EQ(ends.batch.counters().source_forgotten, 2U);

      put(ends.batch, ends.to("10.7.0.1", "10.7.0.2"), "3");
      scripted_answers = {error, error};
      ends.batch.flush();
      EXPECT_EQ(ends.batch.counters().refused, 1U);
      EXPECT_EQ(ends.batch.counters().source_forgotten, 2U);
    });
  }
}

TEST(DatagramBatch, an_address_that_moved_to_another_interface_stays_the_source) {
  in_own_namespace([] {
    Ends ends;
    constexpr std::uint32_t vanished_interface = 4242;
    for (const auto& [remote, local] : {std::pair("10.7.0.1", "10.7.0.2"), std::pair("fd07::1", "fd07::2")}) {
      put(ends.batch, {{address(remote), ends.theirs.port()}, address(local), vanished_interface}, local);
    }
    ends.batch.flush();
    for (UdpSocket* socket : {ends.theirs.v4.get(), ends.theirs.v6.get()}) {
      const auto arrived = receive_all(*socket);
      ASSERT_EQ(arrived.size(), 1U);
      EXPECT_EQ(arrived[0].path.remote.address, address(arrived[0].text.c_str()));
    }
    EXPECT_EQ(ends.batch.counters().source_forgotten, 0U);
  });
}

struct Frames {
  std::vector<std::vector<std::byte>> v4;
  std::vector<std::vector<std::byte>> v6;
};

// Takes all frames that went into the device; returns UDP packets and fragments of them.
Frames frames_in(TunDevice& device) {
  Frames frames;
  std::vector<std::byte> buffer(4000);
  while (const auto size = device.try_read(buffer)) {
    const std::vector<std::byte> frame(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(*size));
    const bool is_v4 = std::to_integer<int>(frame[0]) >> 4 == 4;
    const int protocol = std::to_integer<int>(is_v4 ? frame[9] : frame[6]);
    if (protocol == IPPROTO_UDP || protocol == IPPROTO_FRAGMENT) (is_v4 ? frames.v4 : frames.v6).push_back(frame);
  }
  return frames;
}

void with_tun(const std::function<void()>& body) {
  in_own_namespace([&] {
    if (::access("/dev/net/tun", R_OK | W_OK) != 0) GTEST_SKIP() << "/dev/net/tun cannot be used";
    body();
  });
}

// With the interface in the control message IPv4 would look for the destination beside the old uplink, for ever.
TEST(DatagramBatch, follows_a_changed_route_with_the_source_it_has) {
  with_tun([] {
    auto old_uplink = TunDevice::create("old0");
    auto new_uplink = TunDevice::create("new0");
    output_of("ip addr add 10.1.0.1/24 dev old0 && ip addr add fd01::1/64 dev old0 nodad && ip link set old0 up");
    output_of("ip link set new0 up && ip route add default dev new0");
    output_of("ip -6 route add default dev new0");
    Ends ends;
    const auto old_index = ::if_nametoindex("old0");
    put(ends.batch, {{address("192.0.2.1"), 9}, address("10.1.0.1"), old_index}, "x");
    put(ends.batch, {{address("2001:db8::1"), 9}, address("fd01::1"), old_index}, "x");
    ends.batch.flush();
    const Frames frames = frames_in(new_uplink);
    ASSERT_EQ(frames.v4.size(), 1U);
    EXPECT_EQ(Address::from_bytes(Family::V4, ByteView(frames.v4[0]).subspan(12, 4)), address("10.1.0.1"));
    ASSERT_EQ(frames.v6.size(), 1U);
    EXPECT_EQ(Address::from_bytes(Family::V6, ByteView(frames.v6[0]).subspan(8, 16)), address("fd01::1"));
    const Frames astray = frames_in(old_uplink);
    EXPECT_EQ(astray.v4.size() + astray.v6.size(), 0U);
    EXPECT_EQ(ends.batch.counters().source_forgotten, 0U);
  });
}

TEST(DatagramBatch, answers_a_global_address_from_the_link_local_one_it_asked) {
  with_tun([] {
    auto uplink = TunDevice::create("up0");
    output_of("ip addr add fd01::1/64 dev up0 nodad && ip addr add fe80::1/64 dev up0 nodad && ip link set up0 up");
    Ends ends;
    put(ends.batch, {{address("fd01::2"), 9}, address("fe80::1"), ::if_nametoindex("up0")}, "x");
    ends.batch.flush();
    const Frames frames = frames_in(uplink);
    ASSERT_EQ(frames.v6.size(), 1U);
    EXPECT_EQ(Address::from_bytes(Family::V6, ByteView(frames.v6[0]).subspan(8, 16)), address("fe80::1"));
    EXPECT_EQ(ends.batch.counters().source_forgotten, 0U);
  });
}

TEST(DatagramBatch, large_datagrams_leave_as_fragments_that_may_be_fragmented_again) {
  with_tun([] {
    auto uplink = TunDevice::create("up0");
    output_of("ip addr add 10.1.0.1/24 dev up0 && ip addr add fd01::1/64 dev up0 nodad && ip link set up0 mtu 1280 up");
    Ends ends;
    put(ends.batch, ends.to("10.1.0.2"), std::string(1200, 'a'));
    put(ends.batch, ends.to("10.1.0.2"), std::string(3000, 'a'));
    put(ends.batch, ends.to("fd01::2"), std::string(3000, 'a'));
    ends.batch.flush();
    EXPECT_EQ(ends.batch.counters().sent, 3U);
    const Frames frames = frames_in(uplink);
    EXPECT_EQ(frames.v4.size(), 4U);
    EXPECT_EQ(frames.v6.size(), 3U);
    for (const auto& frame : frames.v4) EXPECT_EQ(std::to_integer<int>(frame[6]) & 0x40, 0) << "DF is set";
  });
}

}  // namespace
}  // namespace culvert
