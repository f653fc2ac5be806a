// What a super-frame of 64 KB costs: to cut it, to merge its segments again, and to sum one packet.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "culvert/base/endian.hpp"
#include "culvert/forwarding/checksum.hpp"
#include "culvert/forwarding/coalescer.hpp"
#include "culvert/forwarding/segmenter.hpp"

namespace {

using Bytes = std::vector<std::byte>;
using culvert::Be16;
using culvert::Be32;
using culvert::ByteSpan;
using culvert::store;

constexpr std::size_t ip_size = 20;
constexpr std::size_t segments = 46;

struct Kind {
  bool is_tcp;
  std::size_t header_size;
  std::size_t gso_size;
  culvert::VirtioNetHeader header;
};

/// IPv4 at MTU 1420, TCP with timestamps.
constexpr Kind tcp{true, 52, 1368, {1, culvert::virtio_net::gso_tcp4, 52, 1368, 20, 16}};
constexpr Kind udp{false, 28, 1392, {1, culvert::virtio_net::gso_udp_l4, 28, 1392, 20, 6}};

/// As the kernel would hand it over: with the pseudo-header's sum in place of the checksum.
Bytes super_frame(const Kind& kind) {
  Bytes frame(kind.header_size + segments * kind.gso_size, std::byte{0x5a});
  std::byte* ip = frame.data();
  std::fill_n(ip, kind.header_size, std::byte{0});
  ip[0] = std::byte{0x45};
  store<Be16>(ip + 2, static_cast<std::uint16_t>(frame.size()));
  store<Be16>(ip + 6, std::uint16_t{0x4000});
  ip[8] = std::byte{64};
  ip[9] = kind.is_tcp ? std::byte{6} : std::byte{17};
  store<Be32>(ip + 12, std::uint32_t{0x0a000001});
  store<Be32>(ip + 16, std::uint32_t{0x0a000002});
  std::byte* transport = ip + ip_size;
  const auto size = static_cast<std::uint16_t>(frame.size() - ip_size);
  if (kind.is_tcp) {
    transport[12] = std::byte{0x80};
    transport[13] = std::byte{0x10};
  } else {
    store<Be16>(transport + 4, size);
  }
  const auto sum = culvert::pseudo_header_sum({ip + 12, 8}, kind.is_tcp ? 6 : 17, size);
  store<Be16>(transport + kind.header.checksum_offset, sum.folded());
  return frame;
}

void segment(benchmark::State& state, const Kind& kind) {
  Bytes frame = super_frame(kind);
  const Bytes headers(frame.begin(), frame.begin() + static_cast<std::ptrdiff_t>(kind.header_size));
  culvert::Segmenter segmenter;
  for (auto _ : state) {
    std::copy(headers.begin(), headers.end(), frame.begin());
    if (!segmenter.begin(kind.header, frame, 0)) return state.SkipWithError("refused");
    for (ByteSpan next = segmenter.next(); !next.empty(); next = segmenter.next()) benchmark::DoNotOptimize(next);
  }
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(frame.size()));
}

class CountingSink final : public culvert::GatheredFrameSink {
 public:
  void put(const culvert::GatheredFrame& frame) noexcept override {
    ++writes;
    benchmark::DoNotOptimize(frame.pieces.data());
  }
  std::size_t writes = 0;
};

void coalesce(benchmark::State& state, const Kind& kind) {
  Bytes frame = super_frame(kind);
  culvert::Segmenter segmenter;
  if (!segmenter.begin(kind.header, frame, 0)) return state.SkipWithError("refused");
  std::vector<Bytes> frames;
  for (ByteSpan next = segmenter.next(); !next.empty(); next = segmenter.next()) {
    frames.emplace_back(next.begin(), next.end());
  }
  const Bytes head = frames[0];
  CountingSink sink;
  culvert::Coalescer coalescer({}, sink);
  for (auto _ : state) {
    std::copy_n(head.begin(), kind.header_size, frames[0].begin());
    for (Bytes& each : frames) coalescer.put(each);
    coalescer.flush();
  }
  if (sink.writes != static_cast<std::size_t>(state.iterations())) state.SkipWithError("not merged");
  state.SetBytesProcessed(state.iterations() * static_cast<std::int64_t>(frame.size()));
}

/// Frames that nothing follows, as in a batch of many small flows.
void coalesce_in_vain(benchmark::State& state) {
  Bytes frame = super_frame(udp);
  frame.resize(64);
  store<Be16>(&frame[2], std::uint16_t{64});
  store<Be16>(&frame[24], std::uint16_t{44});
  std::vector<Bytes> frames(64, frame);
  for (std::size_t i = 0; i < frames.size(); ++i) store<Be16>(&frames[i][20], static_cast<std::uint16_t>(i));
  CountingSink sink;
  culvert::Coalescer coalescer({}, sink);
  for (auto _ : state) {
    for (Bytes& each : frames) coalescer.put(each);
    coalescer.flush();
  }
  state.SetItemsProcessed(state.iterations() * static_cast<std::int64_t>(frames.size()));
}

void sum(benchmark::State& state) {
  const Bytes bytes(static_cast<std::size_t>(state.range(0)), std::byte{0x5a});
  for (auto _ : state) {
    culvert::InternetSum total;
    total.add(bytes);
    benchmark::DoNotOptimize(total.checksum());
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

BENCHMARK_CAPTURE(segment, tcp, tcp);
BENCHMARK_CAPTURE(segment, udp, udp);
BENCHMARK_CAPTURE(coalesce, tcp, tcp);
BENCHMARK_CAPTURE(coalesce, udp, udp);
BENCHMARK(coalesce_in_vain);
BENCHMARK(sum)->Arg(64)->Arg(1420)->Arg(65535);

}  // namespace
