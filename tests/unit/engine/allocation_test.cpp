// The packet path allocates nothing once a session stands, counted by replacing the global operator new.
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>
#include <new>

#include "support/ethernet_frames.hpp"
#include "support/peer_pair.hpp"

namespace {
thread_local bool is_counting = false;
thread_local std::size_t allocations = 0;

void* allocate(std::size_t size) {
  if (is_counting) ++allocations;
  if (void* memory = std::malloc(size == 0 ? 1 : size)) return memory;
  throw std::bad_alloc();
}
}  // namespace

void* operator new(std::size_t size) {
  return allocate(size);
}
void* operator new[](std::size_t size) {
  return allocate(size);
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete[](void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t) noexcept {
  std::free(memory);
}
void operator delete[](void* memory, std::size_t) noexcept {
  std::free(memory);
}

namespace culvert {
namespace {

/// Sinks in memory of their own, as the real ones are.
class FixedSinks final : public DatagramSink, public FrameSink {
 public:
  ByteSpan reserve(const Path&, std::uint8_t, std::size_t size) noexcept override {
    open_ = ByteSpan(memory_).first(size);
    return open_;
  }
  void commit() noexcept override { sent = open_; }
  void put(ByteSpan frame) noexcept override { frame_bytes += frame.size(); }

  ByteSpan sent;
  std::size_t frame_bytes = 0;

 private:
  std::array<std::byte, 2048> memory_{};
  ByteSpan open_;
};

/// Counts allocations while it lives.
class Counting {
 public:
  Counting() {
    allocations = 0;
    is_counting = true;
  }
  ~Counting() { is_counting = false; }
  Counting(const Counting&) = delete;
  Counting& operator=(const Counting&) = delete;
};

TEST(Allocation, is_seen_by_the_counter) {
  const Counting counting;
  std::vector<int>(10).swap(*std::make_unique<std::vector<int>>());
  EXPECT_GE(allocations, 2U);
}

TEST(Allocation, does_not_happen_for_packets_of_a_session) {
  PeerPair pair;
  pair.handshake();
  const Bytes to_b = pair.frame(pair.a, pair.b, 1000);
  const Bytes to_a = pair.frame(pair.b, pair.a, 1000);
  FixedSinks sinks;
  const Path from_a{pair.a.endpoint, {}, 0};
  const Path from_b{pair.b.endpoint, {}, 0};
  const Counting counting;
  for (int i = 0; i < 1000; ++i) {
    pair.advance(std::chrono::milliseconds(100));
    pair.a.engine.on_frame(to_b, pair.now, sinks);
    const ByteSpan sent = sinks.sent;
    pair.b.engine.on_datagram(from_a, 0, sent, pair.now, sinks, sinks);
    // A replay, which is refused.
    pair.b.engine.on_datagram(from_a, 0, sent, pair.now, sinks, sinks);
    pair.b.engine.on_frame(to_a, pair.now, sinks);
    pair.a.engine.on_datagram(from_b, 0, sinks.sent, pair.now, sinks, sinks);
    pair.a.engine.on_deadline(pair.now, sinks);
    pair.b.engine.on_deadline(pair.now, sinks);
    while (pair.a.engine.poll_event()) {
    }
  }
  EXPECT_EQ(sinks.frame_bytes, 2'000'000U);
  EXPECT_EQ(allocations, 0U);
}

TEST(Allocation, does_not_happen_for_frames_between_switches) {
  SwitchedLan lan(3);
  lan.connect(1, 0);
  lan.connect(2, 0);
  lan.settle();
  FixedSinks sinks;
  FixedSinks relayed;
  const Path from_first{lan[1].endpoint, {}, 0};
  const Path from_hub{lan[0].endpoint, {}, 0};
  const std::array<Bytes, 3> frames{
      FrameBuilder{.destination = SwitchedLan::station(0), .source = SwitchedLan::station(1), .payload_size = 1000}
          .frame(),
      FrameBuilder{.destination = SwitchedLan::station(2), .source = SwitchedLan::station(1), .payload_size = 1000}
          .frame(),
      FrameBuilder{.destination = everybody, .source = SwitchedLan::station(1)}.frame()};
  Bytes of_a_stranger = FrameBuilder{.destination = everybody, .source = SwitchedLan::station(1)}.frame();
  const Counting counting;
  for (int i = 0; i < 1000; ++i) {
    lan.now.time += std::chrono::milliseconds(10);
    lan.now.wall += std::chrono::milliseconds(10);
    store<Be32>(&of_a_stranger[8], static_cast<std::uint32_t>(0x770000 + i));
    for (const ByteView frame :
         {ByteView(frames[0]), ByteView(frames[1]), ByteView(frames[2]), ByteView(of_a_stranger)}) {
      lan[1].engine.on_frame(frame, lan.now, sinks);
      lan[0].engine.on_datagram(from_first, 0, sinks.sent, lan.now, sinks, relayed);
      if (!relayed.sent.empty()) lan[2].engine.on_datagram(from_hub, 0, relayed.sent, lan.now, sinks, sinks);
      relayed.sent = {};
    }
    for (std::size_t node = 0; node < 3; ++node) {
      lan[node].engine.on_deadline(lan.now, sinks);
      while (lan[node].engine.poll_event()) {
      }
    }
  }
  EXPECT_GT(sinks.frame_bytes, 2'000'000U);
  EXPECT_EQ(allocations, 0U);
}

TEST(Allocation, does_not_happen_for_garbage) {
  PeerPair pair;
  pair.handshake();
  FixedSinks sinks;
  const Path from_a{pair.a.endpoint, {}, 0};
  std::array<std::byte, 148> garbage{};
  const Counting counting;
  for (std::size_t size = 0; size <= garbage.size(); ++size) {
    for (unsigned type = 0; type < 6; ++type) {
      garbage[0] = static_cast<std::byte>(type);
      pair.b.engine.on_datagram(from_a, 0, ByteSpan(garbage).first(size), pair.now, sinks, sinks);
      pair.b.engine.on_frame(ByteView(garbage).first(size), pair.now, sinks);
    }
  }
  EXPECT_EQ(allocations, 0U);
}

}  // namespace
}  // namespace culvert
