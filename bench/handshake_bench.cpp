// What a handshake costs, by part: each end's share, the whole, and turning away what was meant for somebody else.
#include <benchmark/benchmark.h>

#include <chrono>
#include <utility>

#include "culvert/crypto/initialize.hpp"
#include "culvert/crypto/key_exchange.hpp"
#include "culvert/crypto/system_random.hpp"
#include "culvert/protocol/handshake.hpp"

namespace {

using namespace culvert;

/// Two ends that know each other.
struct Ends {
  Ends() {
    // static-static is computed once for a peer's lifetime, not for each handshake.
    (void)shake_hands();
  }

  Identity identity() {
    initialize_crypto();
    return Identity(generate_secret_key(random));
  }

  bool initiate(MessageInitiation& message) {
    // An initiation is accepted fifty times a second at most, with a greater timestamp than any before.
    now += std::chrono::seconds(1);
    return initiator.create_initiation(message, SessionIndex(1), Tai64n::from(WallTime(now.time_since_epoch())),
                                       random);
  }

  bool respond(const MessageInitiation& initiation, MessageResponse& response) {
    auto opened = open_initiation(b, initiation);
    return opened && responder.consume_initiation(std::move(*opened), now) &&
           responder.create_response(response, SessionIndex(2), random) && responder.derive_session(now);
  }

  bool shake_hands() {
    MessageInitiation initiation;
    MessageResponse response;
    return initiate(initiation) && respond(initiation, response) && initiator.consume_response(response) &&
           initiator.derive_session(now);
  }

  SystemRandom random;
  Identity a = identity();
  Identity b = identity();
  Identity stranger = identity();
  Handshake initiator{a, b.public_key, {}};
  Handshake responder{b, a.public_key, {}};
  Timestamp now{std::chrono::hours(1)};
};

void whole(benchmark::State& state) {
  Ends ends;
  for (auto step : state) {
    if (!ends.shake_hands()) return state.SkipWithError("refused");
  }
}

void initiate(benchmark::State& state) {
  Ends ends;
  MessageInitiation message;
  for (auto step : state) {
    if (!ends.initiate(message)) return state.SkipWithError("refused");
  }
}

void respond(benchmark::State& state) {
  Ends ends;
  MessageInitiation initiation;
  MessageResponse response;
  for (auto step : state) {
    state.PauseTiming();
    if (!ends.initiate(initiation)) return state.SkipWithError("not initiated");
    state.ResumeTiming();
    if (!ends.respond(initiation, response)) return state.SkipWithError("refused");
  }
}

/// An initiation with a valid mac1 that is for another key: what a flood costs at most.
void turn_away(benchmark::State& state) {
  Ends ends;
  MessageInitiation message;
  if (!ends.initiate(message)) return state.SkipWithError("not initiated");
  for (auto step : state) {
    if (open_initiation(ends.stranger, message)) return state.SkipWithError("opened by a stranger");
  }
}

BENCHMARK(whole)->Unit(benchmark::kMicrosecond);
BENCHMARK(initiate)->Unit(benchmark::kMicrosecond);
BENCHMARK(respond)->Unit(benchmark::kMicrosecond);
BENCHMARK(turn_away)->Unit(benchmark::kMicrosecond);

}  // namespace
