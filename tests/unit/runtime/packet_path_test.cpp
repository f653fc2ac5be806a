// The whole way of a packet, both directions: no payload is copied and nothing is allocated, counted by taking the
// place of libc's functions.
#include <gtest/gtest.h>
#include <linux/udp.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstddef>
#include <cstdlib>
#include <cstring>
#include <tuple>

#include "culvert/forwarding/segmenter.hpp"
#include "culvert/io/datagram_batch.hpp"
#include "culvert/io/socket_address.hpp"
#include "culvert/runtime/device_writer.hpp"
#include "support/ethernet_frames.hpp"
#include "support/flow_packet.hpp"
#include "support/own_namespace.hpp"
#include "support/peer_pair.hpp"

// Sanitizers have taken these places.
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define CULVERT_COUNTS false
#else
#define CULVERT_COUNTS true
#endif

namespace {

thread_local bool is_counting = false;
thread_local std::size_t allocations = 0;
thread_local std::size_t copies = 0;

// Headers may be copied; the payloads in these tests are larger.
constexpr std::size_t payload_min = 512;

[[maybe_unused]] void count_allocation() noexcept {
  if (is_counting) ++allocations;
}
[[maybe_unused]] void count_copy(std::size_t size) noexcept {
  if (is_counting && size >= payload_min) ++copies;
}

}  // namespace

#if CULVERT_COUNTS
// glibc's own names for what these take the place of.
extern "C" {
void* __libc_malloc(std::size_t size);
void* __libc_calloc(std::size_t count, std::size_t size);
void* __libc_realloc(void* memory, std::size_t size);
void* __libc_memalign(std::size_t alignment, std::size_t size);
void* __memcpy_chk(void* to, const void* from, std::size_t size, std::size_t room);
void* __memmove_chk(void* to, const void* from, std::size_t size, std::size_t room);

void* malloc(std::size_t size) noexcept {
  count_allocation();
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) noexcept {
  count_allocation();
  return __libc_calloc(count, size);
}
void* realloc(void* memory, std::size_t size) noexcept {
  count_allocation();
  return __libc_realloc(memory, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  count_allocation();
  return __libc_memalign(alignment, size);
}
void* memcpy(void* to, const void* from, std::size_t size) noexcept {
  count_copy(size);
  return __memcpy_chk(to, from, size, size);
}
void* memmove(void* to, const void* from, std::size_t size) noexcept {
  count_copy(size);
  return __memmove_chk(to, from, size, size);
}
}
#endif

namespace culvert {
namespace {

using test::in_own_namespace;
using test::output_of;

// Counts while it lives.
class Counting {
 public:
  Counting() { is_counting = true; }
  ~Counting() { is_counting = false; }
  Counting(const Counting&) = delete;
  Counting& operator=(const Counting&) = delete;
};

bool is_inside(ByteView part, ByteView whole) {
  return part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size();
}

// What arrives in a ReceiveBatch: the datagrams of one train, one after the other.
class TrainInMemory final : public DatagramSink {
 public:
  ByteSpan reserve(const Path&, std::uint8_t, std::size_t size) noexcept override {
    reserved_ = size;
    return ByteSpan(memory).subspan(used, size);
  }
  void commit() noexcept override {
    used += reserved_;
    sizes[count++] = reserved_;
  }

  std::array<std::byte, 65536> memory;
  std::size_t used = 0;
  std::size_t count = 0;
  std::array<std::size_t, 64> sizes;

 private:
  std::size_t reserved_ = 0;
};

// Where a write's pieces are.
class PiecesOf final : public GatheredFrameSink {
 public:
  explicit PiecesOf(ByteView whole) : whole_(whole) {}
  void put(const GatheredFrame& frame) noexcept override {
    ++writes;
    for (const ByteView piece : frame.pieces) {
      ++pieces;
      pieces_inside += is_inside(piece, whole_);
    }
  }
  std::size_t writes = 0;
  std::size_t pieces = 0;
  std::size_t pieces_inside = 0;

 private:
  ByteView whole_;
};

// What a packet that fills the MTU carries.
constexpr std::size_t tcp_payload = limits::default_mtu - 40;
constexpr std::size_t udp_payload = limits::default_mtu - 28;

// A super-frame of 32 frames with `size` bytes of payload each, from host `source` to host `destination`.
FlowPacket super_frame(bool is_tcp, std::size_t size, std::uint8_t source = 1, std::uint8_t destination = 2) {
  FlowPacket packet{.is_tcp = is_tcp, .source_host = source, .destination_host = destination};
  packet.payload = FlowPacket::bytes(32 * size);
  return packet;
}

TEST(PacketPath, a_copy_and_an_allocation_are_seen_by_the_counters) {
  if (!CULVERT_COUNTS) GTEST_SKIP() << "sanitizers do the copying";
  PeerPair pair;
  const auto frame = pair.frame(pair.a, pair.b, 1000);
  allocations = copies = 0;
  {
    const Counting counting;
    pair.a.engine.on_frame(frame, pair.now, pair.a.out);  // no session yet: the frame is kept in a copy
  }
  EXPECT_GE(copies, 1U);
  EXPECT_GE(allocations, 1U);
}

TEST(PacketPath, payload_is_sealed_out_of_device_memory_and_written_out_of_the_memory_it_arrived_in) {
  if (!CULVERT_COUNTS) GTEST_SKIP() << "sanitizers do the copying";
  PeerPair pair;
  pair.handshake();
  const Path from_a{pair.a.endpoint, {}, 0};
  // Frames below the MTU are padded to a multiple of 16.
  for (const auto& [is_tcp, size] :
       {std::pair{true, tcp_payload}, {false, udp_payload}, {false, 1300U}, {true, 1300U}}) {
    const FlowPacket packet = super_frame(is_tcp, size);
    auto device_memory = packet.build_partial();
    const std::size_t frame_size = device_memory.size();
    device_memory.resize(frame_size + limits::padding_multiple);
    TrainInMemory train;
    TrainInMemory answers;
    PiecesOf written(train.memory);
    Coalescer coalescer({}, written);
    allocations = copies = 0;
    {
      const Counting counting;
      Segmenter segmenter;
      if (!segmenter.begin(packet.super_header(size), ByteSpan(device_memory).first(frame_size), 0)) FAIL();
      ByteSpan next = segmenter.next();
      auto sealing = pair.a.engine.admit(next, segmenter.count(), segmenter.size(), pair.now);
      if (!sealing) FAIL();
      for (; !next.empty(); next = segmenter.next()) {
        EXPECT_TRUE(is_inside(next, device_memory));
        EXPECT_TRUE(sealing->seal_with_room(next, train));
      }
      ByteSpan rest = ByteSpan(train.memory).first(train.used);
      for (std::size_t i = 0; i < train.count; ++i) {
        pair.b.engine.on_datagram(from_a, 0, rest.first(train.sizes[i]), pair.now, coalescer, answers);
        rest = rest.subspan(train.sizes[i]);
      }
      coalescer.flush();
    }
    EXPECT_EQ(train.count, 32U);
    EXPECT_EQ(written.writes, 1U);
    EXPECT_EQ(written.pieces, 32U);
    EXPECT_EQ(written.pieces_inside, written.pieces);
    EXPECT_EQ(copies, 0U);
    EXPECT_EQ(allocations, 0U);
  }
}

TEST(PacketPath, payload_of_ethernet_frames_is_not_copied_either_not_even_when_it_is_relayed) {
  if (!CULVERT_COUNTS) GTEST_SKIP() << "sanitizers do the copying";
  SwitchedLan lan(3);
  lan.connect(1, 0);
  lan.connect(2, 0);
  lan.settle();
  const Path from_first{lan[1].endpoint, {}, 0};
  const Path from_hub{lan[0].endpoint, {}, 0};
  for (const std::size_t l2_length : {14U, 18U}) {
    for (const std::size_t size : {1460U, 1300U}) {
      FlowPacket packet = super_frame(true, size);
      packet.l2 = FlowPacket::ethernet(l2_length, true);
      SwitchedLan::station(2).copy_to(packet.l2);
      SwitchedLan::station(1).copy_to(ByteSpan(packet.l2).subspan(6));
      // What is behind the hub's other peer is known, in this VLAN, too.
      FlowPacket back = packet.next(100);
      back.l2 = packet.l2;
      SwitchedLan::station(1).copy_to(back.l2);
      SwitchedLan::station(2).copy_to(ByteSpan(back.l2).subspan(6));
      back.payload.resize(100);
      lan.send(2, back.build());
      for (std::size_t node = 0; node < 3; ++node) lan.frames_at(node);

      const auto frame = packet.build_partial();
      std::vector<std::byte> device_memory(16 + frame.size() + limits::padding_multiple);
      copy_bytes(frame, ByteSpan(device_memory).subspan(16));
      TrainInMemory train;
      TrainInMemory relayed;
      TrainInMemory answers;
      PiecesOf written(relayed.memory);
      Coalescer coalescer({.is_ethernet = true}, written);
      allocations = copies = 0;
      {
        const Counting counting;
        Segmenter segmenter;
        if (!segmenter.begin(packet.super_header(size), ByteSpan(device_memory).subspan(16, frame.size()), l2_length)) {
          FAIL();
        }
        ByteSpan next = segmenter.next();
        auto sealing = lan[1].engine.admit(next, segmenter.count(), segmenter.size(), lan.now);
        if (!sealing) FAIL();
        for (; !next.empty(); next = segmenter.next()) EXPECT_TRUE(sealing->seal_with_room(next, train));
        ByteSpan rest = ByteSpan(train.memory).first(train.used);
        for (std::size_t i = 0; i < train.count; ++i) {
          lan[0].engine.on_datagram(from_first, 0, rest.first(train.sizes[i]), lan.now, lan[0].frames, relayed);
          rest = rest.subspan(train.sizes[i]);
        }
        rest = ByteSpan(relayed.memory).first(relayed.used);
        for (std::size_t i = 0; i < relayed.count; ++i) {
          lan[2].engine.on_datagram(from_hub, 0, rest.first(relayed.sizes[i]), lan.now, coalescer, answers);
          rest = rest.subspan(relayed.sizes[i]);
        }
        coalescer.flush();
      }
      EXPECT_EQ(train.count, 32U);
      EXPECT_EQ(relayed.count, 32U);
      EXPECT_EQ(written.writes, 1U);
      EXPECT_EQ(written.pieces, 32U);
      EXPECT_EQ(written.pieces_inside, written.pieces);
      EXPECT_EQ(copies, 0U);
      EXPECT_EQ(allocations, 0U);
    }
  }
}

// An engine with the sockets, the device and the memory that a worker would give it.
struct Stage {
  Stage(Engine& the_engine, const char* name) : engine(the_engine), device(TunDevice::create(name, true)) {
    writer.set_device(&device);
    output_of(std::string("ip link set ") + name + " mtu 1420 up");
  }
  void send_out(const VirtioNetHeader& header, ByteSpan frame, const Now& now) noexcept {
    if (!segmenter.begin(header, frame, 0)) return;
    for (ByteSpan next = segmenter.next(); !next.empty(); next = segmenter.next()) {
      engine.on_frame(next, now, datagrams);
    }
    datagrams.flush();
  }
  // Until `count` more datagrams have come.
  void take_in(std::size_t count, const Now& now) noexcept {
    const std::size_t end = arrived + count;
    while (arrived < end) {
      pollfd readable{sockets.v4->fd(), POLLIN, 0};
      if (::poll(&readable, 1, 2000) != 1) return;
      const auto received = sockets.v4->try_receive(batch);
      if (!received) return;
      for (const ReceivedDatagram& datagram : *received) {
        for (ByteSpan rest = datagram.bytes; !rest.empty();) {
          const ByteSpan one = rest.first(std::min(rest.size(), datagram.segment_size));
          engine.on_datagram(datagram.path, datagram.traffic_class, one, now, writer, datagrams);
          rest = rest.subspan(one.size());
          ++arrived;
        }
      }
      writer.flush();
    }
  }

  Engine& engine;
  TunDevice device;
  UdpSocketPair sockets = UdpSocketPair::bind(0, 0);
  DatagramBatch datagrams{sockets};
  ReceiveBatch batch;
  DeviceWriter writer;
  Segmenter segmenter;
  std::array<std::byte, 65536> memory;
  std::size_t arrived = 0;
};

TEST(PacketPath, of_thousands_of_packets_through_devices_and_sockets_allocates_and_copies_nothing) {
  if (!CULVERT_COUNTS) GTEST_SKIP() << "sanitizers do the copying";
  in_own_namespace([] {
    if (::access("/dev/net/tun", R_OK | W_OK) != 0) GTEST_SKIP() << "/dev/net/tun cannot be used";
    PeerPair pair;
    pair.handshake();
    Stage a(pair.a.engine, "path0");
    Stage b(pair.b.engine, "path1");
    if (!a.device.offloads().udp || !a.sockets.v4->segments()) GTEST_SKIP() << "the kernel lacks offloads";
    output_of("ip addr add 10.0.0.1/24 dev path0");
    pair.a.engine.set_endpoint(pair.b_at_a, {*Address::parse("127.0.0.1"), b.sockets.port(), 0});

    const UniqueFd user(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    const int segment_size = static_cast<int>(udp_payload);
    ASSERT_EQ(::setsockopt(user.get(), IPPROTO_UDP, UDP_SEGMENT, &segment_size, sizeof segment_size), 0);
    sockaddr_storage to{};
    const socklen_t to_length = to_socket_address({*Address::parse("10.0.0.2"), 9, 0}, to);
    const FlowPacket answer = super_frame(true, tcp_payload, 2, 1);
    const auto question = FlowPacket::bytes(32 * udp_payload);
    const auto answer_frame = answer.build_partial();

    for (int round = 0; round < 162; ++round) {
      // What is first is not steady yet.
      if (round == 2) allocations = copies = a.arrived = b.arrived = 0;
      pair.advance(std::chrono::milliseconds(1));
      ASSERT_EQ(
          ::sendto(user.get(), question.data(), question.size(), 0, reinterpret_cast<const sockaddr*>(&to), to_length),
          static_cast<ssize_t>(question.size()));
      std::copy(answer_frame.begin(), answer_frame.end(), b.memory.begin());
      const Counting counting;
      VirtioNetHeader header;
      while (const auto size = a.device.try_read(header, a.memory)) {
        a.send_out(header, ByteSpan(a.memory).first(*size), pair.now);
      }
      b.take_in(32, pair.now);
      b.send_out(answer.super_header(tcp_payload), ByteSpan(b.memory).first(answer_frame.size()), pair.now);
      a.take_in(32, pair.now);
      while (pair.a.engine.poll_event() || pair.b.engine.poll_event()) {
      }
    }
    // More than what was sent: the kernel refuses the answers that belong to no connection.
    EXPECT_GE(b.arrived, 160U * 32U);
    EXPECT_EQ(a.arrived, 160U * 32U);
    EXPECT_EQ(allocations, 0U);
    EXPECT_EQ(copies, 0U);
    for (const Stage* stage : {&a, &b}) {
      EXPECT_EQ(stage->writer.refused(), 0U);
      EXPECT_LE(stage->writer.writes(), 162U * 4U) << "frames were merged";
      EXPECT_LE(stage->datagrams.counters().messages, 162U * 4U) << "datagrams were put together";
      EXPECT_EQ(stage->datagrams.counters().refused, 0U);
    }
  });
}

}  // namespace
}  // namespace culvert
