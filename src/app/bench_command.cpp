// culvert bench: measuring, comparing results and showing them again.
#include "bench_command.hpp"

#include <unistd.h>

#include <cstdio>

#include "culvert/bench/comparison.hpp"
#include "culvert/bench/report.hpp"
#include "culvert/bench/result_json.hpp"
#include "culvert/bench/table.hpp"
#include "culvert/io/whole_file.hpp"
#include "terminal.hpp"

namespace culvert {
namespace {

constexpr int status_worse = 3;

}  // namespace

BenchCommand::BenchCommand(CLI::App& app) {
  bench_ = app.add_subcommand("bench", "Measure tun against tap, with and without ciphers and offloads");
  bench_->require_subcommand(0, 1);
  bench_->footer(
      "Example: culvert bench --quick --report bench.html\n"
      "Makes a lab of its own in new namespaces, also as an ordinary user, and touches nothing else. It takes under "
      "five "
      "minutes without --quick or --full; leave the machine alone meanwhile.");
  measuring_.emplace(*bench_);
  compare_ =
      bench_->add_subcommand("compare", "Tell what changed between two results, as far as noise lets it be told");
  compare_->add_option("BEFORE", before_, "what culvert bench --json wrote")->required();
  compare_->add_option("AFTER", after_, "the same, later")->required();
  compare_
      ->add_option("--threshold", threshold_percent_, "differences of medians up to so many percent do not count (5)")
      ->check(CLI::Range(0.0, 1000.0))
      ->type_name("");
  compare_->add_flag("--json", as_json_, "as JSON");
  compare_->footer(
      "Example: culvert bench compare main.json branch.json\n"
      "Exit status: 0 nothing is worse, 1 failed, 2 wrong command line, 3 a cell of a tunnel is lost, or more of\n"
      "throughput, rate and p50 are worse than chance explains, or one by more than thrice the threshold.");

  show_ = bench_->add_subcommand("show", "Show a result that was kept");
  show_->add_option("FILE", shown_, "what culvert bench --json wrote")->required();
  show_->add_option("--report", report_, "as a page with pictures, into a file")->type_name("FILE.html");
  show_->footer("Example: culvert bench show main.json --report main.html");
}

int BenchCommand::run() {
  if (*compare_) return compare_files();
  return *show_ ? show_file() : measuring_->run();
}

int BenchCommand::show_file() const {
  const BenchResult result = read_result(shown_);
  if (!report_.empty()) {
    WholeFile(report_, "writing the report").write(to_page(result));
    return 0;
  }
  const TableStyle style{columns_of(STDOUT_FILENO).value_or(80), shows_color(STDOUT_FILENO)};
  std::fputs(to_table(result, style).c_str(), stdout);
  return 0;
}

int BenchCommand::compare_files() const {
  const Comparison comparison = compare(read_result(before_), read_result(after_), threshold_percent_ / 100);
  std::fputs((as_json_ ? to_json(comparison) : to_text(comparison, before_, after_)).c_str(), stdout);
  return comparison.alarm().is_raised() ? status_worse : 0;
}

}  // namespace culvert
