// Any text through result_of_json: what is taken comes back the same, and can be shown without harm to a terminal or a
// page.
#include <algorithm>
#include <cmath>
#include <map>
#include <stdexcept>
#include <string>
#include <string_view>

#include "culvert/bench/comparison.hpp"
#include "culvert/bench/report.hpp"
#include "culvert/bench/result_json.hpp"
#include "culvert/bench/table.hpp"
#include "require.hpp"

namespace culvert {
namespace {

bool steers(char letter) {
  return (letter >= 0 && letter < ' ' && letter != '\n') || letter == 0x7f;
}

std::size_t count(std::string_view text, std::string_view part) {
  std::size_t found = 0;
  for (std::size_t at = text.find(part); at != std::string_view::npos; at = text.find(part, at + 1)) ++found;
  return found;
}

/// Boost.JSON reads some numbers a last bit off.
bool are_close(double one, double other) {
  return std::abs(one - other) <= 1e-12 * std::abs(one) + 1e-300;
}

bool are_alike(const std::map<std::string, Figure>& one, const std::map<std::string, Figure>& other) {
  return std::ranges::equal(one, other, [](const auto& a, const auto& b) {
    return a.first == b.first && std::ranges::equal(a.second.rounds, b.second.rounds, are_close);
  });
}

bool are_alike(const BenchResult& one, const BenchResult& other) {
  return one.kind == other.kind && one.rounds == other.rounds && one.seed == other.seed &&
         are_close(one.seconds, other.seconds) && one.notes == other.notes &&
         one.machine.versions == other.machine.versions && one.machine.offloads == other.machine.offloads &&
         are_alike(one.generator, other.generator) &&
         std::ranges::equal(one.cells, other.cells, [](const Cell& a, const Cell& b) {
           return a.key == b.key && a.drops == b.drops && a.is_limited_by_generator == b.is_limited_by_generator &&
                  are_alike(a.figures, b.figures);
         });
}

void run(std::string_view text) {
  BenchResult result;
  try {
    result = result_of_json(text, "fuzz.json");
  } catch (const std::runtime_error& error) {
    const std::string_view message = error.what();
    require(std::ranges::none_of(message, [](char letter) { return steers(letter) || letter == '\n'; }),
            "the message is one line");
    return;
  }
  require(are_alike(result_of_json(to_json(result), "again.json"), result), "it comes back the same");
  require(std::ranges::none_of(to_table(result), steers), "the table steers no terminal");
  const Comparison comparison = compare(result, result);
  require(comparison.count(ChangeVerdict::Worse) == 0 && comparison.alike() == comparison.comparable(),
          "nothing is worse than itself");
  static const std::string empty = to_page(BenchResult{});
  const std::string page = to_page(result);
  for (const std::string_view tag : {"<script", "</script", "<!--", "<img"}) {
    require(count(page, tag) == count(empty, tag), "no text becomes a tag");
  }
}

}  // namespace
}  // namespace culvert

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  culvert::run({reinterpret_cast<const char*>(data), size});
  return 0;
}
