// The whole packet path in memory: one packet sealed by one engine and opened by another, by size, suite and mode.
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
  void commit() noexcept override {
    sent = open_;
    if (keeps_all) all.emplace_back(open_.begin(), open_.end());
  }
  void put(ByteSpan frame) noexcept override { frame_bytes += frame.size(); }

  bool keeps_all = true;  ///< until the tunnel is up
  std::vector<std::vector<std::byte>> all;
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

std::vector<std::byte> ethernet_frame(MacAddress from, MacAddress to, std::size_t size) {
  std::vector<std::byte> bytes(size, std::byte{0x5a});
  to.copy_to(ByteSpan(bytes).first<MacAddress::size>());
  from.copy_to(ByteSpan(bytes).subspan<MacAddress::size, MacAddress::size>());
  store<Be16>(&bytes[12], std::uint16_t{0x88b5});  // IEEE Std 802, for local experiments
  return bytes;
}

struct Kind {
  CipherChoice cipher;
  DeviceMode mode;
};

constexpr Kind routed_chacha{CipherSuite::ChaCha20Poly1305, DeviceMode::Routed};
constexpr Kind routed_aes{CipherSuite::Aes256Gcm, DeviceMode::Routed};
constexpr Kind routed_none{CipherSuite::None, DeviceMode::Routed};
constexpr Kind switched_chacha{CipherSuite::ChaCha20Poly1305, DeviceMode::Switched};
constexpr Kind switched_aes{CipherSuite::Aes256Gcm, DeviceMode::Switched};

/// Two engines with a session, which have told each other what they are.
struct Tunnel {
  explicit Tunnel(const Kind& kind) : mode(kind.mode) {
    initialize_crypto();
    for (Engine* const engine : {&a, &b}) {
      engine->set_cipher(kind.cipher);
      engine->set_mode(kind.mode);
    }
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
    a.on_frame(frame(64), now, from_a);
    // Initiation, response, what waited, hellos and their answers.
    for (int turn = 0; turn < 8; ++turn) {
      deliver(from_a, at_a, b, from_b);
      deliver(from_b, at_b, a, from_a);
    }
    // Each learns where the other's station is.
    if (mode != DeviceMode::Switched) return;
    b.on_frame(ethernet_frame(station_b, station_a, 64), now, from_b);
    deliver(from_b, at_b, a, from_a);
  }

  /// From a's side to b's.
  [[nodiscard]] std::vector<std::byte> frame(std::size_t size) const {
    return mode == DeviceMode::Switched ? ethernet_frame(station_a, station_b, size) : packet(inner_a, inner_b, size);
  }

  void deliver(Sinks& from, const Path& path, Engine& to, Sinks& answers) const {
    std::vector<std::vector<std::byte>> datagrams;
    datagrams.swap(from.all);
    for (auto& datagram : datagrams) to.on_datagram(path, 0, datagram, now, answers, answers);
  }

  DeviceMode mode;
  const MacAddress station_a{0x020000000001};
  const MacAddress station_b{0x020000000002};
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

void a_to_b(benchmark::State& state, const Kind& kind) {
  Tunnel tunnel(kind);
  tunnel.from_a.keeps_all = tunnel.from_b.keeps_all = false;
  const auto frame = tunnel.frame(static_cast<std::size_t>(state.range(0)));
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

void outbound_only(benchmark::State& state, const Kind& kind) {
  Tunnel tunnel(kind);
  tunnel.from_a.keeps_all = tunnel.from_b.keeps_all = false;
  const auto frame = tunnel.frame(static_cast<std::size_t>(state.range(0)));
  for (auto step : state) {
    tunnel.a.on_frame(frame, tunnel.now, tunnel.from_a);
    benchmark::DoNotOptimize(tunnel.from_a.sent.data());
  }
  count(state);
}

void inbound_only(benchmark::State& state, const Kind& kind) {
  Tunnel tunnel(kind);
  tunnel.from_a.keeps_all = tunnel.from_b.keeps_all = false;
  const auto frame = tunnel.frame(static_cast<std::size_t>(state.range(0)));
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

#define CULVERT_EACH_KIND(function)                                                         \
  BENCHMARK_CAPTURE(function, tun_chacha20, routed_chacha)->Arg(64)->Arg(512)->Arg(1420);   \
  BENCHMARK_CAPTURE(function, tun_aes, routed_aes)->Arg(64)->Arg(512)->Arg(1420);           \
  BENCHMARK_CAPTURE(function, tun_none, routed_none)->Arg(64)->Arg(512)->Arg(1420);         \
  BENCHMARK_CAPTURE(function, tap_chacha20, switched_chacha)->Arg(64)->Arg(512)->Arg(1420); \
  BENCHMARK_CAPTURE(function, tap_aes, switched_aes)->Arg(64)->Arg(512)->Arg(1420)

CULVERT_EACH_KIND(a_to_b);
CULVERT_EACH_KIND(outbound_only);
CULVERT_EACH_KIND(inbound_only);

}  // namespace
