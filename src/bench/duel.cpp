// Who is ahead.
#include <cmath>
#include <string>
#include <vector>

#include "culvert/bench/comparison.hpp"
#include "culvert/bench/view.hpp"

namespace culvert {
namespace {

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (std::size_t i = 0; i < parts.size(); ++i) {
    text += (i == 0 ? "" : i + 1 == parts.size() ? " and " : ", ") + parts[i];
  }
  return text;
}

std::string lead_text(const Duel& duel) {
  const double percent = duel.lead() * 100;
  return (percent < 1 ? "under 1" : std::to_string(std::llround(percent))) + " % " +
         (duel.kind.more_is_better ? "more" : "less");
}

}  // namespace

bool Duel::is_even() const {
  return do_overlap(*tun.figure, *tap.figure);
}

bool Duel::is_noisy() const {
  return is_even() && (tun.figure->is_wide() || tap.figure->is_wide());
}

BenchMode Duel::winner() const {
  return (tun.figure->median() > tap.figure->median()) == kind.more_is_better ? BenchMode::Tun : BenchMode::Tap;
}

double Duel::lead() const {
  const bool is_tun = winner() == BenchMode::Tun;
  const double better = (is_tun ? tun : tap).figure->median();
  const double other = (is_tun ? tap : tun).figure->median();
  return other == 0 ? 0 : std::abs(better / other - 1);
}

std::string verdict_of(const Views& views, bool has_leads) {
  if (views.duels.empty()) return "tun or tap? Not both were measured, or not alike.";
  std::string text;
  for (const BenchMode mode : {BenchMode::Tun, BenchMode::Tap}) {
    std::vector<std::string> leads;
    for (const Duel& duel : views.duels) {
      if (duel.is_even() || duel.winner() != mode) continue;
      leads.push_back(has_leads ? lead_text(duel) + " " + duel.name : duel.name);
    }
    if (!leads.empty()) text += " " + std::string(to_string(mode)) + ": " + joined(leads) + ".";
  }
  std::vector<std::string> even, noisy;
  for (const Duel& duel : views.duels) {
    if (duel.is_even()) (duel.is_noisy() ? noisy : even).push_back(duel.name);
  }
  if (!even.empty()) text += " Even: " + joined(even) + ".";
  if (!noisy.empty()) text += " Too noisy to tell: " + joined(noisy) + ".";
  return "tun or tap?" + text;
}

}  // namespace culvert
