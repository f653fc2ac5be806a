// What it costs to seal and to open one transport message.
#include <benchmark/benchmark.h>

#include <vector>

#include "culvert/crypto/initialize.hpp"
#include "culvert/protocol/session.hpp"

namespace culvert {
namespace {

constexpr std::size_t mtu = 9000;

Session make_session() {
  return Session({}, true, SessionIndex(1), SessionIndex(1), Timestamp());
}

void seal(benchmark::State& state) {
  initialize_crypto();
  Session session = make_session();
  const std::vector<std::byte> frame(static_cast<std::size_t>(state.range(0)));
  std::vector<std::byte> datagram(Session::sealed_size(frame.size(), mtu));
  for (auto _ : state) {
    session.seal(frame, datagram);
    benchmark::DoNotOptimize(datagram.data());
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(seal)->Arg(64)->Arg(256)->Arg(1420)->Arg(9000);

/// Messages are opened in place and once only, so each is sealed anew while the watch is stopped, a batch at a time.
void open(benchmark::State& state) {
  initialize_crypto();
  Session sender = make_session();
  Session receiver = make_session();
  const std::vector<std::byte> frame(static_cast<std::size_t>(state.range(0)));
  std::vector<std::vector<std::byte>> datagrams(256, std::vector<std::byte>(Session::sealed_size(frame.size(), mtu)));
  std::size_t next = datagrams.size();
  for (auto _ : state) {
    if (next == datagrams.size()) {
      state.PauseTiming();
      for (auto& datagram : datagrams) sender.seal(frame, datagram);
      next = 0;
      state.ResumeTiming();
    }
    auto& datagram = datagrams[next++];
    const MessageData message{receiver.local_index(), load<Le64>(datagram.data() + 8),
                              ByteSpan(datagram).subspan(sizeof(MessageDataHeader))};
    const auto opened = receiver.open(message, Timestamp());
    if (!opened) {
      state.SkipWithError("does not open");
      break;
    }
    benchmark::DoNotOptimize(opened->data());
  }
  state.SetBytesProcessed(state.iterations() * state.range(0));
}
BENCHMARK(open)->Arg(64)->Arg(256)->Arg(1420)->Arg(9000);

}  // namespace
}  // namespace culvert
