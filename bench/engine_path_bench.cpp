// The whole packet path in memory: one packet sealed by one engine and opened by another.
#include <benchmark/benchmark.h>

#include <array>
#include <vector>

#include "culvert/base/endian.hpp"
#include "culvert/crypto/initialize.hpp"
#include "culvert/crypto/key_exchange.hpp"
#include "culvert/crypto/system_random.hpp"
#include "culvert/engine/engine.hpp"

namespace {

using namespace culvert;

/// Takes datagrams into memory of a fixed place, and counts frames.
class Sinks final : public DatagramSink, public FrameSink {
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

std::vector<std::byte> packet(const Address& from, const Address& to, std::size_t size) {
  std::vector<std::byte> bytes(size, std::byte{0x5a});
  bytes[0] = std::byte{0x45};
  bytes[1] = std::byte{0};
  store<Be16>(&bytes[2], static_cast<std::uint16_t>(size));
  copy_bytes(from.bytes(), ByteSpan(bytes).subspan(12));
  copy_bytes(to.bytes(), ByteSpan(bytes).subspan(16));
  return bytes;
}

/// Two engines with a session.
struct Tunnel {
  Tunnel() {
    initialize_crypto();
    SecretKey key_a = generate_secret_key(random);
    SecretKey key_b = generate_secret_key(random);
    const PublicKey public_a = public_key_of(key_a);
    const PublicKey public_b = public_key_of(key_b);
    a.set_private_key(std::move(key_a));
    b.set_private_key(std::move(key_b));
    const PeerId b_at_a = a.ensure_peer(public_b)->id;
    const PeerId a_at_b = b.ensure_peer(public_a)->id;
    a.add_allowed_ip(b_at_a, {inner_b, 32});
    b.add_allowed_ip(a_at_b, {inner_a, 32});
    a.set_endpoint(b_at_a, at_b.remote);
    a.on_frame(packet(inner_a, inner_b, 64), now, from_a);
    b.on_datagram(at_a, 0, from_a.sent, now, from_b, from_b);
    a.on_datagram(at_b, 0, from_b.sent, now, from_a, from_a);
    b.on_datagram(at_a, 0, from_a.sent, now, from_b, from_b);
  }

  SystemRandom random;
  const Address inner_a = *Address::parse("10.0.0.1");
  const Address inner_b = *Address::parse("10.0.0.2");
  const Path at_a{*Endpoint::parse("192.0.2.1:1001"), {}, 0};
  const Path at_b{*Endpoint::parse("192.0.2.2:1002"), {}, 0};
  const Now now{Timestamp(std::chrono::hours(1)), WallTime(std::chrono::seconds(1'700'000'000))};
  Engine a{random, limits::default_mtu};
  Engine b{random, limits::default_mtu};
  Sinks from_a;
  Sinks from_b;
};

void count(benchmark::State& state) {
  state.SetItemsProcessed(state.iterations());
  state.SetBytesProcessed(state.iterations() * state.range(0));
}

void a_to_b(benchmark::State& state) {
  Tunnel tunnel;
  const auto frame = packet(tunnel.inner_a, tunnel.inner_b, static_cast<std::size_t>(state.range(0)));
  const std::size_t before = tunnel.from_b.frame_bytes;
  for (auto step : state) {
    tunnel.a.on_frame(frame, tunnel.now, tunnel.from_a);
    tunnel.b.on_datagram(tunnel.at_a, 0, tunnel.from_a.sent, tunnel.now, tunnel.from_b, tunnel.from_b);
  }
  if (tunnel.from_b.frame_bytes - before != static_cast<std::size_t>(state.iterations()) * frame.size()) {
    state.SkipWithError("not every packet arrived");
  }
  count(state);
}

void outbound_only(benchmark::State& state) {
  Tunnel tunnel;
  const auto frame = packet(tunnel.inner_a, tunnel.inner_b, static_cast<std::size_t>(state.range(0)));
  for (auto step : state) {
    tunnel.a.on_frame(frame, tunnel.now, tunnel.from_a);
    benchmark::DoNotOptimize(tunnel.from_a.sent.data());
  }
  count(state);
}

void inbound_only(benchmark::State& state) {
  Tunnel tunnel;
  const auto frame = packet(tunnel.inner_a, tunnel.inner_b, static_cast<std::size_t>(state.range(0)));
  // Sealed beforehand, a batch at a time, outside the clock: no counter is taken twice, and no datagram is opened
  // twice.
  constexpr std::size_t batch = 256;
  std::vector<std::vector<std::byte>> sealed(batch);
  std::size_t next = batch;
  for (auto step : state) {
    if (next == batch) {
      state.PauseTiming();
      for (auto& datagram : sealed) {
        tunnel.a.on_frame(frame, tunnel.now, tunnel.from_a);
        datagram.assign(tunnel.from_a.sent.begin(), tunnel.from_a.sent.end());
      }
      next = 0;
      state.ResumeTiming();
    }
    tunnel.b.on_datagram(tunnel.at_a, 0, sealed[next++], tunnel.now, tunnel.from_b, tunnel.from_b);
  }
  count(state);
}

BENCHMARK(a_to_b)->Arg(64)->Arg(512)->Arg(1420);
BENCHMARK(outbound_only)->Arg(64)->Arg(512)->Arg(1420);
BENCHMARK(inbound_only)->Arg(64)->Arg(512)->Arg(1420);

}  // namespace
