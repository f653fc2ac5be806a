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

// What the next calls of sendmmsg and sendmsg on this thread do: fail with the errno given, send but one message, or
// what they are asked to.
thread_local std::deque<int> scripted_answers;
constexpr int one_only = -1;
constexpr int as_asked = 0;

namespace {
int next_answer() {
  if (scripted_answers.empty()) return as_asked;
  const int answer = scripted_answers.front();
  scripted_answers.pop_front();
  return answer;
}
}  // namespace

// Take the place of libc's, so that a test can script the errors that a kernel gives when it is in trouble.
extern "C" int sendmmsg(int fd, mmsghdr* messages, unsigned count, int flags) {
  const int answer = next_answer();
  if (answer > 0) {
    errno = answer;
    return -1;
  }
  return static_cast<int>(::syscall(SYS_sendmmsg, fd, messages, answer == one_only ? 1U : count, flags));
}

extern "C" ssize_t sendmsg(int fd, const msghdr* message, int flags) {
  if (const int answer = next_answer(); answer > 0) {
    errno = answer;
    return -1;
  }
  return ::syscall(SYS_sendmsg, fd, message, flags);
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
  std::size_t segment_size;
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
      all.push_back({text_of(datagram.bytes), datagram.path, datagram.traffic_class, datagram.segment_size});
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

void put_probe(DatagramBatch& batch, const Path& path, std::size_t size) {
  const ByteSpan memory = batch.reserve_probe(path, 0, size);
  ASSERT_EQ(memory.size(), size);
  std::ranges::fill(memory, std::byte{'p'});
  batch.commit();
}

TEST(DatagramBatch, a_probe_must_not_be_fragmented_and_what_surrounds_it_may) {
  with_tun([] {
    auto uplink = TunDevice::create("up0");
    output_of("ip addr add 10.1.0.1/24 dev up0 && ip addr add fd01::1/64 dev up0 nodad && ip link set up0 mtu 1280 up");
    Ends ends;
    for (const char* remote : {"10.1.0.2", "fd01::2"}) {
      put(ends.batch, ends.to(remote), std::string(100, 'a'));
      put_probe(ends.batch, ends.to(remote), 200);
      put(ends.batch, ends.to(remote), std::string(300, 'a'));
    }
    ends.batch.flush();
    const Frames frames = frames_in(uplink);
    ASSERT_EQ(frames.v4.size(), 3U);
    ASSERT_EQ(frames.v6.size(), 3U);
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(frames.v4[i].size(), 28 + 100 * (i + 1));
      EXPECT_EQ(frames.v6[i].size(), 48 + 100 * (i + 1));
      EXPECT_EQ((frames.v4[i][6] & std::byte{0x40}) != std::byte{0}, i == 1);
    }
    EXPECT_EQ(ends.batch.counters().sent, 6U);
  });
}

TEST(DatagramBatch, a_probe_larger_than_the_link_vanishes_and_is_no_error) {
  with_tun([] {
    auto uplink = TunDevice::create("up0");
    output_of("ip addr add 10.1.0.1/24 dev up0 && ip addr add fd01::1/64 dev up0 nodad && ip link set up0 mtu 1280 up");
    Ends ends;
    for (const auto& [remote, largest] : {std::pair{"10.1.0.2", 1252U}, {"fd01::2", 1232U}}) {
      put_probe(ends.batch, ends.to(remote), largest);
      put_probe(ends.batch, ends.to(remote), largest + 1);
      put(ends.batch, ends.to(remote), "x");
    }
    ends.batch.flush();
    const Frames frames = frames_in(uplink);
    ASSERT_EQ(frames.v4.size(), 2U);
    ASSERT_EQ(frames.v6.size(), 2U);
    EXPECT_EQ(frames.v4[0].size(), 1280U);
    EXPECT_EQ(frames.v6[0].size(), 1280U);
    EXPECT_EQ(ends.batch.counters().sent, 4U);
    EXPECT_EQ(ends.batch.counters().refused, 0U);
  });
}

TEST(DatagramBatch, a_probe_is_sent_without_a_source_that_is_gone) {
  with_tun([] {
    auto uplink = TunDevice::create("up0");
    output_of("ip addr add 10.1.0.1/24 dev up0 && ip link set up0 up");
    Ends ends;
    put_probe(ends.batch, ends.to("10.1.0.2", "10.1.0.9"), 100);
    put_probe(ends.batch, ends.to("127.0.0.1"), 60'000);
    ends.batch.flush();
    EXPECT_EQ(frames_in(uplink).v4.size(), 1U);
    EXPECT_EQ(texts(*ends.theirs.v4), Texts{std::string(60'000, 'p')});
    EXPECT_EQ(ends.batch.counters().source_forgotten, 1U);
  });
}

TEST(DatagramBatch, a_probe_that_finds_no_room_is_lost_alone) {
  in_own_namespace([] {
    Ends ends;
    put_probe(ends.batch, ends.to("127.0.0.1"), 100);
    put(ends.batch, ends.to("127.0.0.1"), "x");
    scripted_answers = {EINTR, ENOBUFS};
    ends.batch.flush();
    EXPECT_EQ(texts(*ends.theirs.v4), Texts{"x"});
    EXPECT_EQ(ends.batch.counters().refused, 1U);
  });
}

Path path_to(const char* remote, std::uint16_t port) {
  return {{address(remote), port}, std::nullopt, 0};
}

// A sender that may put datagrams together, a receiver to whom the kernel gives them one by one, and one to whom it
// gives each message of the sender as it is.
struct TrainEnds {
  TrainEnds() { output_of("for n in 1 2 3; do ip addr add 10.7.0.$n/32 dev lo; done"); }
  UdpSocketPair ours = UdpSocketPair::bind(0, 0, true);
  UdpSocketPair apart = UdpSocketPair::bind(0, 0, false);
  UdpSocketPair together = UdpSocketPair::bind(0, 0, true);
  DatagramBatch batch{ours};

  [[nodiscard]] Path to_apart(const char* remote = "127.0.0.1") const { return path_to(remote, apart.port()); }
  [[nodiscard]] Path to_together(const char* remote = "127.0.0.1") const { return path_to(remote, together.port()); }
  // `count` datagrams of one size, told apart by their beginnings; returns their texts.
  Texts put_many(const Path& path, std::size_t count, std::size_t size, std::uint8_t traffic_class = 0) {
    Texts all;
    for (std::size_t i = 0; i < count; ++i) {
      std::string text = std::to_string(number_++) + ".";
      text.resize(size, 'x');
      put(batch, path, text, traffic_class);
      all.push_back(std::move(text));
    }
    return all;
  }
  // How many messages the kernel is given for what was put.
  std::uint64_t messages_of_flush() {
    const std::uint64_t before = batch.counters().messages;
    batch.flush();
    return batch.counters().messages - before;
  }

 private:
  unsigned number_ = 0;
};

// One after the other; as a list, they are also put in that order.
Texts in_order(std::initializer_list<Texts> parts) {
  Texts all;
  for (const Texts& part : parts) all.insert(all.end(), part.begin(), part.end());
  return all;
}

std::string joined(const Texts& all) {
  std::string text;
  for (const std::string& each : all) text += each;
  return text;
}

void with_trains(const std::function<void(TrainEnds&)>& body) {
  in_own_namespace([&] {
    TrainEnds ends;
    if (!ends.ours.v4->segments() || !ends.together.v4->merges()) GTEST_SKIP() << "the kernel has no UDP offloads";
    body(ends);
  });
}

TEST(DatagramTrain, of_equal_datagrams_is_one_message_and_arrives_as_separate_ones) {
  with_trains([](TrainEnds& ends) {
    const Texts v4 = ends.put_many(ends.to_apart(), 10, 100);
    const Texts v6 = ends.put_many(ends.to_apart("::1"), 10, 100);
    EXPECT_EQ(ends.messages_of_flush(), 2U);
    EXPECT_EQ(ends.batch.counters().sent, 20U);
    EXPECT_EQ(texts(*ends.apart.v4), v4);
    EXPECT_EQ(texts(*ends.apart.v6), v6);
    EXPECT_EQ(ends.batch.refusal(), "");
  });
}

TEST(DatagramTrain, arrives_as_one_where_the_receiver_takes_that) {
  with_trains([](TrainEnds& ends) {
    const Texts v4 = ends.put_many(ends.to_together(), 10, 100, 0x02);
    const Texts v6 = ends.put_many(ends.to_together("::1"), 3, 1200);
    ends.batch.flush();
    const auto arrived = receive_all(*ends.together.v4);
    ASSERT_EQ(arrived.size(), 1U);
    EXPECT_EQ(arrived[0].text, joined(v4));
    EXPECT_EQ(arrived[0].segment_size, 100U);
    EXPECT_EQ(arrived[0].traffic_class, 0x02);
    const auto arrived6 = receive_all(*ends.together.v6);
    ASSERT_EQ(arrived6.size(), 1U);
    EXPECT_EQ(arrived6[0].text, joined(v6));
    EXPECT_EQ(arrived6[0].segment_size, 1200U);
  });
}

TEST(DatagramTrain, ends_with_a_shorter_datagram) {
  with_trains([](TrainEnds& ends) {
    const Texts first = in_order({ends.put_many(ends.to_together(), 2, 100), ends.put_many(ends.to_together(), 1, 40)});
    const Texts second = ends.put_many(ends.to_together(), 2, 40);
    EXPECT_EQ(ends.messages_of_flush(), 2U);
    const auto arrived = receive_all(*ends.together.v4);
    ASSERT_EQ(arrived.size(), 2U);
    EXPECT_EQ(arrived[0].text, joined(first));
    EXPECT_EQ(arrived[0].segment_size, 100U);
    EXPECT_EQ(arrived[1].text, joined(second));
    EXPECT_EQ(arrived[1].segment_size, 40U);
  });
}

TEST(DatagramTrain, is_not_joined_by_what_differs) {
  with_trains([](TrainEnds& ends) {
    Path other_source = ends.to_apart();
    other_source.local = address("10.7.0.1");
    struct Case {
      const char* what;
      Path path;
      std::size_t size;
      std::uint8_t traffic_class;
    };
    for (const auto& [what, path, size, traffic_class] :
         {Case{"a longer one", ends.to_apart(), 101, 0}, Case{"another address", ends.to_apart("127.0.0.2"), 100, 0},
          Case{"another port", ends.to_together(), 100, 0}, Case{"another source", other_source, 100, 0},
          Case{"another class", ends.to_apart(), 100, 1}, Case{"another family", ends.to_apart("::1"), 100, 0}}) {
      SCOPED_TRACE(what);
      const Texts before = ends.put_many(ends.to_apart(), 2, 100);
      const Texts between = ends.put_many(path, 1, size, traffic_class);
      const Texts after = ends.put_many(ends.to_apart(), 2, 100);
      // The longer one begins a train that the first shorter one ends.
      EXPECT_EQ(ends.messages_of_flush(), 3U);
      const bool is_apart = path.remote.address.is_v4() && path.remote.port == ends.apart.port();
      EXPECT_EQ(texts(*ends.apart.v4), is_apart ? in_order({before, between, after}) : in_order({before, after}));
    }
  });
}

TEST(DatagramTrain, is_not_joined_by_a_probe) {
  with_trains([](TrainEnds& ends) {
    ends.put_many(ends.to_apart(), 2, 100);
    put_probe(ends.batch, ends.to_apart(), 100);
    put_probe(ends.batch, ends.to_apart(), 100);
    ends.put_many(ends.to_apart(), 2, 100);
    EXPECT_EQ(ends.messages_of_flush(), 4U);
    EXPECT_EQ(texts(*ends.apart.v4).size(), 6U);
  });
}

TEST(DatagramTrain, has_at_most_64_datagrams) {
  with_trains([](TrainEnds& ends) {
    const Texts all = ends.put_many(ends.to_apart(), 65, 20);
    EXPECT_EQ(ends.messages_of_flush(), 2U);
    EXPECT_EQ(texts(*ends.apart.v4), all);
    EXPECT_EQ(ends.batch.counters().refused, 0U);
  });
}

TEST(DatagramTrain, has_at_most_as_many_bytes_as_a_datagram) {
  with_trains([](TrainEnds& ends) {
    const Texts whole = in_order({ends.put_many(ends.to_apart(), 50, 1310), ends.put_many(ends.to_apart(), 1, 7)});
    EXPECT_EQ(ends.messages_of_flush(), 1U) << "65507 bytes";
    EXPECT_EQ(texts(*ends.apart.v4), whole);
    const Texts more = in_order({ends.put_many(ends.to_apart(), 50, 1310), ends.put_many(ends.to_apart(), 1, 8)});
    EXPECT_EQ(ends.messages_of_flush(), 2U) << "65508 bytes";
    EXPECT_EQ(texts(*ends.apart.v4), more);
    EXPECT_EQ(ends.batch.counters().refused, 0U);
  });
}

TEST(DatagramTrain, does_not_begin_on_a_socket_that_cannot_segment) {
  with_trains([](TrainEnds& ends) {
    DatagramBatch batch(ends.apart);
    for (const char* text : {"1", "2", "3"}) put(batch, path_to("127.0.0.1", ends.ours.port()), text);
    batch.flush();
    EXPECT_EQ(batch.counters().messages, 3U);
    EXPECT_EQ(batch.refusal(), "");
  });
}

TEST(DatagramTrain, is_given_up_for_good_where_the_interface_computes_no_checksums) {
  with_trains([](TrainEnds& ends) {
    const Texts first = in_order({ends.put_many(ends.to_apart(), 3, 100), ends.put_many(ends.to_apart(), 3, 100, 1)});
    scripted_answers = {EIO};
    EXPECT_EQ(ends.messages_of_flush(), 4U) << "what was put together before the refusal is tried as it is";
    EXPECT_EQ(texts(*ends.apart.v4), first);
    EXPECT_THAT(std::string(ends.batch.refusal()), ::testing::HasSubstr("EIO"));
    for (int i = 0; i < 3000; ++i) ends.batch.flush();
    const Texts later = ends.put_many(ends.to_apart(), 3, 10);
    EXPECT_EQ(ends.messages_of_flush(), 3U);
    EXPECT_EQ(texts(*ends.apart.v4), later);
    EXPECT_THAT(std::string(ends.batch.refusal()), ::testing::HasSubstr("EIO"));
    EXPECT_EQ(ends.batch.counters().refused, 0U);
  });
}

TEST(DatagramTrain, that_is_refused_goes_one_by_one_and_so_do_all_as_large_for_a_while) {
  for (const int error : {EINVAL, EMSGSIZE}) {
    with_trains([error](TrainEnds& ends) {
      const Texts refused = in_order({ends.put_many(ends.to_apart(), 3, 100), ends.put_many(ends.to_apart(), 1, 50)});
      scripted_answers = {error, EINTR};
      EXPECT_EQ(ends.messages_of_flush(), 4U);
      EXPECT_EQ(texts(*ends.apart.v4), refused);
      EXPECT_THAT(std::string(ends.batch.refusal()), ::testing::HasSubstr("MTU"));

      const Texts as_large = ends.put_many(ends.to_apart(), 3, 100);
      EXPECT_EQ(ends.messages_of_flush(), 3U);
      const Texts smaller = ends.put_many(ends.to_apart(), 3, 99);
      EXPECT_EQ(ends.messages_of_flush(), 1U);
      EXPECT_EQ(texts(*ends.apart.v4), in_order({as_large, smaller}));

      for (int i = 0; i < 1024; ++i) ends.batch.flush();
      EXPECT_EQ(ends.batch.refusal(), "");
      const Texts again = ends.put_many(ends.to_apart(), 3, 100);
      EXPECT_EQ(ends.messages_of_flush(), 1U);
      EXPECT_EQ(texts(*ends.apart.v4), again);
      EXPECT_EQ(ends.batch.counters().refused, 0U);
    });
  }
}

TEST(DatagramTrain, the_smallest_of_several_refused_in_one_flush_sets_the_bound) {
  with_trains([](TrainEnds& ends) {
    ends.put_many(ends.to_apart(), 2, 100);
    ends.put_many(ends.to_apart(), 2, 200, 1);
    scripted_answers = {EMSGSIZE, as_asked, as_asked, EMSGSIZE};
    EXPECT_EQ(ends.messages_of_flush(), 4U);
    ends.put_many(ends.to_apart(), 3, 100);
    EXPECT_EQ(ends.messages_of_flush(), 3U);
    EXPECT_EQ(receive_all(*ends.apart.v4).size(), 7U);
  });
}

TEST(DatagramTrain, larger_than_the_mtu_leaves_as_fragments_and_goes_together_again_when_that_grows) {
  with_tun([] {
    // A device that computes checksums, without which older kernels refuse all trains.
    auto uplink = TunDevice::create("up0", true);
    output_of("ip addr add 10.1.0.1/24 dev up0 && ip addr add fd01::1/64 dev up0 nodad && ip link set up0 mtu 1280 up");
    TrainEnds ends;
    if (!ends.ours.v4->segments()) GTEST_SKIP() << "the kernel has no UDP_SEGMENT";
    for (const char* remote : {"10.1.0.2", "fd01::2"}) {
      SCOPED_TRACE(remote);
      const Path path = path_to(remote, 9);
      ends.put_many(path, 3, 1400);
      EXPECT_EQ(ends.messages_of_flush(), 3U);
      const Frames frames = frames_in(uplink);
      EXPECT_EQ(frames.v4.size() + frames.v6.size(), 6U);
      EXPECT_EQ(ends.batch.counters().refused, 0U);
      EXPECT_THAT(std::string(ends.batch.refusal()), ::testing::HasSubstr("MTU"));
      ends.put_many(path, 3, 1000);
      EXPECT_EQ(ends.messages_of_flush(), 1U);
      frames_in(uplink);
      for (int i = 0; i < 1024; ++i) ends.batch.flush();
    }
    output_of("ip link set up0 mtu 1500");
    ends.put_many(path_to("10.1.0.2", 9), 3, 1400);
    EXPECT_EQ(ends.messages_of_flush(), 1U);
    EXPECT_EQ(ends.batch.refusal(), "");
  });
}

TEST(DatagramTrain, whose_source_is_gone_arrives_and_sets_no_bound) {
  with_trains([](TrainEnds& ends) {
    output_of("ip addr del 10.7.0.2/32 dev lo && ip addr add fd07::1/128 dev lo nodad");
    Path v4 = ends.to_apart("10.7.0.1");
    v4.local = address("10.7.0.2");
    Path v6 = ends.to_apart("fd07::1");
    v6.local = address("fd07::2");
    const Texts all4 = in_order({ends.put_many(v4, 3, 100), ends.put_many(v4, 3, 100, 2)});
    const Texts all6 = in_order({ends.put_many(v6, 3, 100), ends.put_many(v6, 3, 100, 2)});
    ends.batch.flush();
    EXPECT_EQ(texts(*ends.apart.v4), all4);
    EXPECT_EQ(texts(*ends.apart.v6), all6);
    EXPECT_EQ(ends.batch.counters().sent, 12U);
    EXPECT_EQ(ends.batch.counters().source_forgotten, 12U);
    EXPECT_EQ(ends.batch.counters().refused, 0U);
    EXPECT_EQ(ends.batch.refusal(), "");
    v4.local = address("10.7.0.3");
    ends.put_many(v4, 3, 100);
    EXPECT_EQ(ends.messages_of_flush(), 1U);
    EXPECT_EQ(ends.batch.counters().source_forgotten, 12U);
  });
}

TEST(DatagramTrain, none_of_which_can_be_sent_sets_no_bound) {
  with_trains([](TrainEnds& ends) {
    ends.put_many(ends.to_apart(), 3, 100);
    scripted_answers = {EINVAL, EINVAL, EINVAL, EINVAL};
    EXPECT_EQ(ends.messages_of_flush(), 0U);
    EXPECT_EQ(ends.batch.counters().refused, 3U);
    ends.put_many(path_to("192.0.2.1", 9), 3, 100);
    EXPECT_EQ(ends.messages_of_flush(), 0U) << "no route";
    EXPECT_EQ(ends.batch.counters().refused, 6U);
    EXPECT_EQ(ends.batch.refusal(), "");
    EXPECT_EQ(texts(*ends.apart.v4), Texts{});
  });
}

TEST(DatagramTrain, that_finds_no_room_is_counted_by_datagrams_and_nothing_overtakes_it) {
  with_trains([](TrainEnds& ends) {
    const Texts taken = ends.put_many(ends.to_apart(), 3, 100);
    ends.put_many(ends.to_apart(), 4, 100, 1);
    ends.put_many(ends.to_apart(), 5, 100, 2);
    scripted_answers = {one_only, ENOBUFS};
    ends.batch.flush();
    EXPECT_EQ(texts(*ends.apart.v4), taken);
    EXPECT_EQ(ends.batch.counters().sent, 3U);
    EXPECT_EQ(ends.batch.counters().refused, 9U);

    const Texts split = ends.put_many(ends.to_apart(), 4, 100);
    ends.put_many(ends.to_apart(), 5, 100, 1);
    scripted_answers = {EMSGSIZE, as_asked, ENOBUFS};
    ends.batch.flush();
    EXPECT_EQ(texts(*ends.apart.v4), Texts{split[0]});
    EXPECT_EQ(ends.batch.counters().sent, 4U);
    EXPECT_EQ(ends.batch.counters().refused, 17U);
  });
}

TEST(DatagramTrain, of_any_shape_keeps_the_order) {
  with_trains([](TrainEnds& ends) {
    constexpr std::array<std::size_t, 6> sizes{100, 100, 100, 100, 40, 300};
    unsigned seed = 1;
    const auto random = [&](unsigned below) {
      seed = seed * 1664525 + 1013904223;
      return (seed >> 16) % below;
    };
    for (const auto& answers : {std::deque<int>{}, {one_only, EINTR, one_only}, {EMSGSIZE, EINTR}, {EIO}}) {
      // Begins with a train, which the scripted refusal hits.
      Texts all = ends.put_many(ends.to_apart(), 2, 500);
      for (int i = 0; i < 60; ++i) {
        all = in_order(
            {std::move(all), ends.put_many(ends.to_apart(), 1, sizes[random(sizes.size())], random(8) == 0 ? 1 : 0)});
      }
      scripted_answers = answers;
      ends.batch.flush();
      EXPECT_EQ(texts(*ends.apart.v4), all);
      for (int i = 0; i < 1024; ++i) ends.batch.flush();
    }
    EXPECT_EQ(ends.batch.counters().refused, 0U);
    EXPECT_EQ(ends.batch.counters().sent, 4U * 62U);
  });
}

}  // namespace
}  // namespace culvert
