// How fast one core seals and opens datagrams of typical sizes.
#include <benchmark/benchmark.h>

#include <vector>

#include "culvert/crypto/aead.hpp"
#include "culvert/crypto/initialize.hpp"

namespace culvert {
namespace {

void count_bytes(benchmark::State& state) {
  state.SetBytesProcessed(state.iterations() * state.range(0));
  state.SetLabel(std::string(aead_library()));
}

void seal(benchmark::State& state) {
  initialize_crypto();
  const Aead aead{SymmetricKey()};
  const std::vector<std::byte> plaintext(static_cast<std::size_t>(state.range(0)));
  std::vector<std::byte> sealed(plaintext.size() + aead_tag_size);
  std::uint64_t counter = 0;
  for (auto _ : state) {
    aead.seal(counter++, plaintext, {}, sealed);
    benchmark::DoNotOptimize(sealed.data());
    benchmark::ClobberMemory();
  }
  count_bytes(state);
}

// Opening is in place, so each round begins with a copy of the sealed bytes, which is measured too.
void open(benchmark::State& state) {
  initialize_crypto();
  const Aead aead{SymmetricKey()};
  const std::vector<std::byte> plaintext(static_cast<std::size_t>(state.range(0)));
  std::vector<std::byte> sealed(plaintext.size() + aead_tag_size);
  aead.seal(0, plaintext, {}, sealed);
  std::vector<std::byte> memory(sealed.size());
  for (auto _ : state) {
    copy_bytes(sealed, memory);
    if (!aead.open(0, memory, {})) state.SkipWithError("does not open");
    benchmark::ClobberMemory();
  }
  count_bytes(state);
}

BENCHMARK(seal)->Arg(64)->Arg(256)->Arg(1420)->Arg(9000);
BENCHMARK(open)->Arg(64)->Arg(256)->Arg(1420)->Arg(9000);

}  // namespace
}  // namespace culvert
