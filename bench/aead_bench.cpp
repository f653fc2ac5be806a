// How fast one core seals and opens packets of typical sizes with one library; compiled once for each.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <memory>
#include <random>
#include <vector>

#include "crypto/aead_backend.hpp"
#include "culvert/crypto/aead.hpp"
#include "culvert/crypto/initialize.hpp"

namespace culvert {
namespace {

using Library = detail::CULVERT_AEAD_LIBRARY;
using Keyed = detail::KeyedAead<Library>;

constexpr std::size_t hot_size = std::size_t{64} << 10;
/// Plaintext and ciphertext together are three times the largest cache.
constexpr std::size_t cold_size = std::size_t{48} << 20;

/// Memory for all benchmarks, touched once.
ByteSpan arena(std::size_t which) {
  static std::array<std::vector<std::byte>, 2> memory{std::vector<std::byte>(cold_size),
                                                      std::vector<std::byte>(cold_size)};
  return memory[which];
}

/// Packets that are all in the cache, or far more than it holds, in an order that no prefetcher foresees. Each cold
/// packet has one of 256 keys, as for a server with many peers.
class Packets {
 public:
  Packets(CipherSuite suite, std::size_t size, bool is_cold) : slot_size_(size + 128) {
    const std::size_t count = (is_cold ? cold_size : hot_size) / slot_size_;
    for (std::size_t i = 0; i < count; ++i) order_.push_back(i * slot_size_);
    std::shuffle(order_.begin(), order_.end(), std::minstd_rand(1));
    for (std::size_t i = 0; i < (is_cold ? 256u : 1u); ++i) {
      keys_.push_back(std::make_unique<Keyed>(suite, SymmetricKey().bytes()));
    }
    size_ = size;
  }

  void seal(std::size_t i) noexcept {
    const std::size_t at = order_[i];
    key(i).seal({}, ByteView(plain_).subspan(at, size_), {}, ByteSpan(sealed_).subspan(at, size_ + aead_tag_size));
  }
  bool open(std::size_t i) noexcept {
    return key(i).open({}, ByteSpan(sealed_).subspan(order_[i], size_ + aead_tag_size), {});
  }
  std::size_t count() const noexcept { return order_.size(); }

 private:
  Keyed& key(std::size_t i) noexcept { return *keys_[i % keys_.size()]; }

  std::size_t slot_size_;
  std::size_t size_;
  ByteSpan plain_ = arena(0);
  ByteSpan sealed_ = arena(1);
  std::vector<std::size_t> order_;
  std::vector<std::unique_ptr<Keyed>> keys_;
};

/// Times `work` on all packets by turns; `prepare` comes before, not timed. Time is per packet.
template <class Prepare, class Work>
void run(benchmark::State& state, Packets& packets, Prepare prepare, Work work) {
  using Clock = std::chrono::steady_clock;
  const std::size_t batch = std::min<std::size_t>(packets.count(), 1024);
  std::size_t first = 0;
  while (state.KeepRunningBatch(static_cast<benchmark::IterationCount>(batch))) {
    if (first + batch > packets.count()) first = 0;
    if (first == 0) prepare();
    const auto begin = Clock::now();
    for (std::size_t i = first; i < first + batch; ++i) work(i);
    state.SetIterationTime(std::chrono::duration<double>(Clock::now() - begin).count());
    first += batch;
  }
  state.SetLabel(std::string(Keyed::library));
}

void seal(benchmark::State& state, CipherSuite suite, bool is_cold) {
  Packets packets(suite, static_cast<std::size_t>(state.range(0)), is_cold);
  run(
      state, packets, [] {}, [&](std::size_t i) { packets.seal(i); });
}

void open(benchmark::State& state, CipherSuite suite, bool is_cold) {
  Packets packets(suite, static_cast<std::size_t>(state.range(0)), is_cold);
  const auto seal_all = [&] {
    for (std::size_t i = 0; i < packets.count(); ++i) packets.seal(i);
  };
  run(state, packets, seal_all, [&](std::size_t i) {
    if (!packets.open(i)) state.SkipWithError("does not open");
  });
}

[[maybe_unused]] const bool registered = [] {
  initialize_crypto();
  for (const CipherSuite suite : {CipherSuite::ChaCha20Poly1305, CipherSuite::Aes256Gcm}) {
    if (suite == CipherSuite::Aes256Gcm && (std::is_same_v<Library, detail::Libsodium> || !is_usable(suite))) continue;
    for (const bool is_cold : {false, true}) {
      for (const bool is_open : {false, true}) {
        const std::string name =
            std::string(to_string(suite)) + (is_open ? "/open" : "/seal") + (is_cold ? "/cold" : "/hot");
        benchmark::RegisterBenchmark(name.c_str(), is_open ? open : seal, suite, is_cold)
            ->UseManualTime()
            ->Arg(64)
            ->Arg(256)
            ->Arg(1420)
            ->Arg(9000);
      }
    }
  }
  return true;
}();

}  // namespace
}  // namespace culvert
