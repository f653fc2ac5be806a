// Which of a name's addresses a peer is called at, and when another one is tried.
#include "culvert/runtime/endpoint_choice.hpp"

#include <algorithm>
#include <utility>

namespace culvert {
namespace {

bool contains(const std::vector<Endpoint>& endpoints, const Endpoint& endpoint) {
  return std::ranges::find(endpoints, endpoint) != endpoints.end();
}

}  // namespace

EndpointChoice::Decision EndpointChoice::answered(const std::vector<Endpoint>& found, const InUse& in_use,
                                                  Timestamp now) {
  // Name servers turn the order round with each answer: that is no news, and going round needs an order that stays.
  const bool is_other = !std::ranges::is_permutation(found, known_);
  if (is_other) {
    known_ = found;
    is_news_ = true;
    next_probe_ = now;
    probe_pause_ = probe_pause_min;
    last_tried_.reset();
  }
  if (!in_use.endpoint) return next_of(known_, in_use);
  if (contains(known_, *in_use.endpoint)) is_news_ = false;
  // While handshakes fail it is their failures that lead on from address to address.
  if (!is_news_ || (is_failing_ ? !is_other : now < next_probe_)) return {};
  const Decision decision = next_of(known_, in_use);
  if (decision.kind == Decision::Kind::Probe && !is_failing_) {
    is_probing_ = true;
    next_probe_ = now + probe_pause_;
    probe_pause_ = std::min(probe_pause_ * 2, probe_pause_max);
  }
  return decision;
}

EndpointChoice::Decision EndpointChoice::handshake_unanswered(const InUse& in_use) {
  // Not a word about the path: the handshake along it is only now on its way.
  if (std::exchange(is_probing_, false)) return {};
  if (!std::exchange(is_failing_, true)) last_tried_.reset();
  std::vector<Endpoint> candidates = known_;
  if (in_use.has_answered && in_use.endpoint && !contains(candidates, *in_use.endpoint)) {
    candidates.push_back(*in_use.endpoint);
  }
  return candidates.empty() ? Decision{} : next_of(std::move(candidates), in_use);
}

void EndpointChoice::session_established() noexcept {
  if (std::exchange(is_probing_, false)) is_news_ = false;
  is_failing_ = false;
}

EndpointChoice::Decision EndpointChoice::next_of(std::vector<Endpoint> candidates, const InUse& in_use) {
  auto next = candidates.begin();
  if (const auto& before = last_tried_ ? last_tried_ : in_use.endpoint) {
    const auto found = std::ranges::find(candidates, *before);
    if (found != candidates.end()) next = found + 1 == candidates.end() ? candidates.begin() : found + 1;
  }
  last_tried_ = *next;
  if (in_use.endpoint == *next) return {};
  return {in_use.has_answered ? Decision::Kind::Probe : Decision::Kind::Set, *next};
}

}  // namespace culvert
