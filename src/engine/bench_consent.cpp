// Asking a peer for a benchmark, and telling the runtime that one asks.
#include "culvert/protocol/bench_consent.hpp"

#include "culvert/engine/engine.hpp"

namespace culvert {
namespace {

BenchTalk& talk_with(Peer& peer) {
  if (!peer.bench) peer.bench = std::make_unique<BenchTalk>();
  return *peer.bench;
}

}  // namespace

void Engine::ask_for_bench(PeerId id, const BenchNumber& number, const Now& now) {
  Peer* peer = peers_.find(id);
  if (!peer) return;
  talk_with(*peer).ask(number, now.time);
  schedule(*peer, now.time);
}

std::optional<BenchAnswer> Engine::take_bench_answer(PeerId id) noexcept {
  const Peer* peer = peers_.find(id);
  return peer && peer->bench ? peer->bench->take_answer() : std::nullopt;
}

std::optional<BenchNumber> Engine::take_bench_request(PeerId id) noexcept {
  const Peer* peer = peers_.find(id);
  return peer && peer->bench ? peer->bench->take_request() : std::nullopt;
}

void Engine::answer_bench(PeerId id, BenchAnswer&& answer, const Now& now) {
  Peer* peer = peers_.find(id);
  if (!peer) return;
  talk_with(*peer).answer(std::move(answer), now.time);
  schedule(*peer, now.time);
}

void Engine::attend_bench(Peer& peer, const Now& now, DatagramSink& out) noexcept {
  if (!peer.bench) return;
  if (const auto answer = peer.bench->take_answer_to_send()) {
    std::array<std::byte, bench_answer_size> plaintext;
    write_bench_answer(plaintext, *answer);
    // What does not arrive is asked for again.
    (void)send_control(peer, plaintext, now, out);
    wipe(plaintext);
  }
  if (!peer.bench->is_due(now.time)) return;
  const Session* session = peer.sessions.current();
  const auto& said = peer.agreement.said();
  if (!session || !session->can_seal(now.time)) {
    send_initiation(peer, false, now, out);
  } else if (said && said->features.has(Feature::Bench) &&
             send_control(peer, build_bench_request(peer.bench->asked()), now, out)) {
    return peer.bench->sent(now.time);
  }
  peer.bench->waited(now.time);
}

void Engine::accept_bench_request(Peer& peer, ByteView body, const Now& now) noexcept {
  if (!features_.has(Feature::Bench)) return count_drop(DropReason::UnknownEnvelope);
  const Verdict<BenchNumber> number = parse_bench_request(body);
  if (!number) return count_drop(number.error());
  if (!talk_with(peer).heard(*number, now.time)) return count_drop(DropReason::BenchFlood);
  events_.push({EventKind::BenchAsked, peer.id});
}

void Engine::accept_bench_answer(Peer& peer, ByteSpan body) noexcept {
  if (!features_.has(Feature::Bench)) return count_drop(DropReason::UnknownEnvelope);
  Verdict<BenchAnswer> answer = parse_bench_answer(body);
  wipe(body);
  if (!answer) return count_drop(answer.error());
  if (!peer.bench || !peer.bench->answered(std::move(*answer))) return count_drop(DropReason::BadBench);
  events_.push({EventKind::BenchAnswered, peer.id});
}

}  // namespace culvert
