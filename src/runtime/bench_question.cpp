// Asking a peer whether this end may measure the tunnel.
#include "culvert/runtime/bench_question.hpp"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "culvert/engine/bench_talk.hpp"
#include "culvert/io/clock.hpp"
#include "culvert/runtime/agreement_words.hpp"

namespace culvert {
namespace asio = boost::asio;
namespace {

constexpr auto as_value = asio::as_tuple(asio::use_awaitable);
constexpr auto look_interval = std::chrono::milliseconds(200);

}  // namespace

asio::awaitable<BenchReply> BenchQuestion::ask(PublicKey key) {
  BenchReply reply;
  std::optional<PeerId> id;
  BenchNumber number;
  SystemRandom().fill(number);
  if (is_asking_) {
    reply.error = "another benchmark asks its peer just now";
    co_return reply;
  }
  {
    const auto engine = device_.engine();
    if (const Peer* peer = engine->find_peer(key)) id = peer->id;
    if (id) engine->ask_for_bench(*id, number, read_clocks());
  }
  if (!id) {
    reply.error = "there is no such peer";
    co_return reply;
  }
  is_asking_ = true;
  device_.settings_changed();
  const auto until = read_clocks().time + limits::bench_request_time;
  std::optional<BenchAnswer> answer;
  for (;;) {
    answer = device_.engine()->take_bench_answer(*id);
    if (answer) break;
    reply.error = hopeless(*id);
    if (!reply.error.empty() || read_clocks().time >= until) break;
    timer_.expires_after(look_interval);
    co_await timer_.async_wait(as_value);
  }
  is_asking_ = false;
  if (!answer && reply.error.empty()) {
    const auto engine = device_.engine();
    const Peer* peer = engine->find_peer(*id);
    reply.error = peer && peer->sessions.current()
                      ? "there is a session with it, and no answer to the request; is the way there lossy?"
                      : "it does not answer: there is no session with it (is its Endpoint set, and is it running?)";
  } else if (answer && answer->verdict != BenchVerdict::Granted) {
    reply.error = explain(*answer, key);
  } else if (answer) {
    reply.granted = std::move(answer);
  }
  co_return reply;
}

std::string BenchQuestion::hopeless(PeerId id) {
  const auto engine = device_.engine();
  const Peer* peer = engine->find_peer(id);
  if (!peer) return "it was removed";
  if (const auto words = mismatch_words(peer->agreement, engine->mode()); !words.empty())
    return "it " + std::string(words);
  // What was said in an earlier session may have been another program's.
  if (!peer->sessions.current() || peer->agreement.is_open()) return {};
  if (peer->agreement.nature() == PeerNature::Stock) {
    return "it is a WireGuard, but no culvert: a benchmark through the tunnel needs culvert at both ends";
  }
  const auto& said = peer->agreement.said();
  if (said && !said->features.has(Feature::Bench)) {
    return "it is a culvert that knows no benchmarks through tunnels: it is older, or was not started from a file";
  }
  return {};
}

std::string BenchQuestion::explain(const BenchAnswer& answer, const PublicKey& key) {
  const auto engine = device_.engine();
  const std::string own = engine->identity() ? engine->identity()->public_key.to_base64() : "…";
  switch (answer.verdict) {
    case BenchVerdict::Granted:
      break;
    case BenchVerdict::NotAllowed:
      return "it does not allow it: there, in the section [Peer] with PublicKey = " + own +
             ", set AllowBench = yes, or a rate such as 100M, and reload";
    case BenchVerdict::Busy:
      return "it is busy: another benchmark goes through its tunnel; try again when that has ended";
    case BenchVerdict::NoAddress:
      return "its device has no address to be measured at: set Address there, or give its bridge one";
    case BenchVerdict::Failed:
      return "it allows it, but could not begin; the log of " + device_.labels.of(key) + " says why";
  }
  return {};
}

}  // namespace culvert
