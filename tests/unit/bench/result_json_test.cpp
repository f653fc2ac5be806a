// There and back, and what is refused.
#include "culvert/bench/result_json.hpp"

#include <gmock/gmock.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fstream>
#include <iterator>
#include <limits>
#include <set>

#include "results.hpp"
#include "support/temporary_directory.hpp"

namespace culvert {
namespace {

using test::cell;
using test::key;
using test::result_of;
using ::testing::HasSubstr;
using ::testing::Not;

BenchResult full_result() {
  std::vector<Cell> cells;
  for (const BenchMode mode : {BenchMode::Uplink, BenchMode::Tun, BenchMode::Tap, BenchMode::BridgedTap}) {
    for (const Measure measure :
         {Measure::TcpUp, Measure::TcpDown, Measure::TcpBoth, Measure::RateWithoutLoss, Measure::RateAtHalfPercent,
          Measure::RoundTripIdle, Measure::RoundTripHalf, Measure::RoundTripFull}) {
      for (const OffloadRung rung : {OffloadRung::Off, OffloadRung::Udp, OffloadRung::Device, OffloadRung::On}) {
        Cell made = cell(key(mode, measure, 64, "aes-256-gcm", rung), {});
        for (const FigureKind& kind : figure_kinds) made.figures[std::string(kind.name)] = {{1.5, 0.1, 1e10}};
        made.drops = {{"replayed", 3}, {"too_old", std::numeric_limits<std::uint64_t>::max()}};
        made.is_limited_by_generator = mode == BenchMode::Tap;
        made.key.queues = 4;
        made.key.streams = 8;
        cells.push_back(std::move(made));
      }
    }
  }
  BenchResult result = result_of(std::move(cells));
  result.machine.offloads = {{"tun", "TSO"}, {"tun", "twice the same name"}};
  result.generator = {{"timestamps", {{0.011, 0.012}}}};
  result.notes = {"tap+bridge × aes: not measured — \"quotes\", \\ and </script>"};
  return result;
}

std::string refusal_of(const std::string& text) {
  try {
    (void)result_of_json(text, "a.json");
  } catch (const std::runtime_error& error) {
    return error.what();
  }
  return "taken";
}

/// The JSON of a small result with the field at `pointer` replaced, or taken out.
std::string with(const std::string& pointer, const std::string& value) {
  boost::json::value text =
      boost::json::parse(to_json(result_of({cell(key(BenchMode::Tun, Measure::TcpUp), {{"throughput", {{1, 2}}}})})));
  const std::size_t slash = pointer.rfind('/');
  boost::json::value& parent =
      slash == 0 ? text : *text.find_pointer(pointer.substr(0, slash), boost::json::error_code{});
  const std::string name = pointer.substr(slash + 1);
  if (value.empty()) {
    parent.as_object().erase(name);
  } else {
    parent.as_object()[name] = boost::json::parse(value);
  }
  return boost::json::serialize(text);
}

TEST(ResultJson, gives_back_all_that_was_put_in) {
  const BenchResult before = full_result();
  const BenchResult after = result_of_json(to_json(before), "a.json");
  EXPECT_EQ(after.kind, before.kind);
  EXPECT_EQ(after.rounds, before.rounds);
  EXPECT_EQ(after.seed, before.seed);
  EXPECT_EQ(after.seconds, before.seconds);
  EXPECT_EQ(after.notes, before.notes);
  EXPECT_EQ(after.machine.kernel, before.machine.kernel);
  EXPECT_EQ(after.machine.cpu, before.machine.cpu);
  EXPECT_EQ(after.machine.cpus, before.machine.cpus);
  EXPECT_EQ(after.machine.memory, before.machine.memory);
  EXPECT_EQ(after.machine.virtualization, before.machine.virtualization);
  EXPECT_EQ(after.machine.culvert, before.machine.culvert);
  EXPECT_EQ(after.machine.versions, before.machine.versions);
  EXPECT_EQ(after.machine.offloads, before.machine.offloads);
  ASSERT_EQ(after.generator.size(), 1U);
  EXPECT_EQ(after.generator.at("timestamps").rounds, before.generator.at("timestamps").rounds);
  ASSERT_EQ(after.cells.size(), before.cells.size());
  for (std::size_t i = 0; i < before.cells.size(); ++i) {
    EXPECT_EQ(after.cells[i].key, before.cells[i].key);
    EXPECT_EQ(after.cells[i].drops, before.cells[i].drops);
    EXPECT_EQ(after.cells[i].is_limited_by_generator, before.cells[i].is_limited_by_generator);
    ASSERT_EQ(after.cells[i].figures.size(), before.cells[i].figures.size());
    for (const auto& [name, figure] : before.cells[i].figures) {
      EXPECT_EQ(after.cells[i].figures.at(name).rounds, figure.rounds) << name;
    }
  }
  EXPECT_EQ(to_json(after), to_json(before));
}

TEST(ResultJson, tells_medians_and_bounds_to_readers) {
  const std::string text =
      to_json(result_of({cell(key(BenchMode::Tun, Measure::TcpUp), {{"throughput", {{3, 1, 2}}}})}));
  EXPECT_THAT(text,
              HasSubstr(R"("throughput":{"median":2E0,"least":1E0,"most":3E0,"wide":true,"rounds":[3E0,1E0,2E0]})"));
  EXPECT_THAT(text, HasSubstr(R"("schema": "culvert-bench")"));
  EXPECT_THAT(text, HasSubstr(R"("seed": "18000000000000000001")"));
}

TEST(ResultJson, leaves_out_what_is_no_number) {
  const double nothing = std::numeric_limits<double>::quiet_NaN();
  const BenchResult after =
      result_of_json(to_json(result_of({cell(key(BenchMode::Tun, Measure::TcpUp),
                                             {{"throughput", {{nothing, 1, std::numeric_limits<double>::infinity()}}},
                                              {"p50", {{nothing}}},
                                              {"p99", {}}})})),
                     "a.json");
  ASSERT_EQ(after.cells[0].figures.size(), 1U);
  EXPECT_EQ(after.cells[0].figures.at("throughput").rounds, std::vector<double>{1});
}

TEST(ResultJson, passes_over_what_a_later_culvert_may_add) {
  EXPECT_EQ(refusal_of(with("/colour", R"("blue")")), "taken");
  EXPECT_EQ(refusal_of(with("/cells/0/figures/jitter", R"({"rounds":"none"})")), "taken");
}

TEST(ResultJson, refuses_what_is_not_its_own_and_says_where) {
  EXPECT_THAT(refusal_of(""), HasSubstr("a.json: it is no JSON"));
  EXPECT_THAT(refusal_of("{\"schema\": \"culvert-b"), HasSubstr("it is no JSON"));
  EXPECT_THAT(refusal_of("[1]"), HasSubstr("is no object"));
  EXPECT_THAT(refusal_of("{}"), HasSubstr("has no field \"schema\""));
  EXPECT_THAT(refusal_of(with("/schema", R"("another")")), HasSubstr("schema: is not \"culvert-bench\""));
  EXPECT_THAT(refusal_of(with("/version", "2")), HasSubstr("version: is not 1"));
  EXPECT_THAT(refusal_of(with("/seed", R"("12x")")), HasSubstr("seed: is no decimal number"));
  EXPECT_THAT(refusal_of(with("/seed", R"("")")), HasSubstr("seed: is no decimal number"));
  EXPECT_THAT(refusal_of(with("/seconds", R"("long")")), HasSubstr("seconds: is no number"));
  EXPECT_THAT(refusal_of(with("/machine/cpus", "-1")), HasSubstr("machine.cpus: is no whole number"));
  EXPECT_THAT(refusal_of(with("/machine/cpus", "2.5")), HasSubstr("machine.cpus: is no whole number"));
  EXPECT_THAT(refusal_of(with("/machine/memory", "")), HasSubstr("machine: has no field \"memory\""));
  EXPECT_THAT(refusal_of(with("/machine/versions", "{}")), HasSubstr("machine.versions: is no array"));
  EXPECT_THAT(refusal_of(with("/notes", "[1]")), HasSubstr("notes[0]: is no text"));
  EXPECT_THAT(refusal_of(with("/cells/0/mode", R"("tunnel")")),
              HasSubstr("cells[0].mode: is none of uplink, tun, tap, tap+bridge"));
  EXPECT_THAT(refusal_of(with("/cells/0/measure", R"("udp")")), HasSubstr("cells[0].measure: is none of"));
  EXPECT_THAT(refusal_of(with("/cells/0/offloads", R"("some")")), HasSubstr("cells[0].offloads: is none of"));
  EXPECT_THAT(refusal_of(with("/cells/0/packet_size", "4294967296")), HasSubstr("cells[0].packet_size: is no whole"));
  EXPECT_THAT(refusal_of(with("/cells/0/limited_by_generator", "0")), HasSubstr("is neither true nor false"));
  EXPECT_THAT(refusal_of(with("/cells/0/drops/replayed", "1.5")), HasSubstr("cells[0].drops.replayed: is no whole"));
  EXPECT_THAT(refusal_of(with("/cells/0/figures/throughput/rounds", "[]")),
              HasSubstr("cells[0].figures.throughput: has no rounds"));
  EXPECT_THAT(refusal_of(with("/cells/0/figures/throughput/rounds", "[true]")),
              HasSubstr("cells[0].figures.throughput.rounds[0]: is no number"));
}

TEST(ResultJson, refuses_numbers_whose_sum_may_be_infinite) {
  EXPECT_THAT(refusal_of(with("/seconds", "2e18")), HasSubstr("seconds: is too large"));
  EXPECT_THAT(refusal_of(with("/cells/0/figures/throughput/rounds", "[-2e18]")), HasSubstr("is too large"));
  EXPECT_EQ(refusal_of(with("/cells/0/figures/throughput/rounds", "[1e18, -1e18]")), "taken");
}

TEST(ResultJson, refuses_a_cell_that_is_there_twice) {
  const Cell once = cell(key(BenchMode::Tun, Measure::TcpUp), {{"throughput", {{1}}}});
  EXPECT_THAT(refusal_of(to_json(result_of({once, once}))), HasSubstr("cells: has the same cell twice"));
}

TEST(ResultJson, repeats_no_line_feed_of_a_file_in_its_message) {
  const std::string message = refusal_of(with("/cells/0/drops/evil\nline", "-1"));
  EXPECT_THAT(message, HasSubstr("evil?line"));
  EXPECT_THAT(message, Not(HasSubstr("\n")));
}

/// The names of all fields of all objects in it.
void collect_names(const boost::json::value& value, std::set<std::string>& names) {
  if (value.is_array()) {
    for (const auto& element : value.get_array()) collect_names(element, names);
  } else if (value.is_object()) {
    for (const auto& [name, element] : value.get_object()) {
      names.insert(name);
      collect_names(element, names);
    }
  }
}

TEST(ResultJson, has_no_field_or_word_that_its_document_does_not_explain) {
  std::ifstream file(CULVERT_SOURCE_DIR "/docs/bench.md");
  const std::string document{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  BenchResult result = full_result();
  for (Cell& cell : result.cells) cell.drops.clear();
  std::set<std::string> words;
  collect_names(boost::json::parse(to_json(result)), words);
  for (const Cell& cell : result.cells) {
    words.emplace(to_string(cell.key.mode));
    words.emplace(to_string(cell.key.measure));
    words.emplace(to_string(cell.key.offloads));
  }
  EXPECT_GT(words.size(), 50U);
  for (const std::string& word : words) {
    // `name` and `value` stand together.
    EXPECT_TRUE(document.find("`" + word + "`") != std::string::npos ||
                document.find('"' + word + '"') != std::string::npos)
        << word;
  }
}

TEST(ResultJson, is_read_from_a_file) {
  const test::TemporaryDirectory folder;
  std::ofstream(folder.file("a.json")) << to_json(full_result());
  EXPECT_EQ(read_result(folder.file("a.json")).cells.size(), full_result().cells.size());
  EXPECT_THROW((void)read_result(folder.file("none.json")), std::system_error);
  EXPECT_THROW((void)read_result(folder.path()), std::system_error);
}

TEST(ResultJson, refuses_an_endless_file) {
  try {
    (void)read_result("/dev/zero");
    FAIL() << "was taken";
  } catch (const std::runtime_error& error) {
    EXPECT_THAT(error.what(), HasSubstr("larger than 64 MiB"));
  }
}

}  // namespace
}  // namespace culvert
