// culvert bench: measuring, and telling what came of it.
#include "bench_measuring.hpp"

#include <fmt/format.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <fstream>
#include <random>
#include <stdexcept>
#include <thread>
#include <utility>

#include "common_end.hpp"
#include "culvert/bench/bench_lab.hpp"
#include "culvert/bench/machine.hpp"
#include "culvert/bench/measuring_process.hpp"
#include "culvert/bench/peer_tunnel.hpp"
#include "culvert/bench/progress.hpp"
#include "culvert/bench/report.hpp"
#include "culvert/bench/result_json.hpp"
#include "culvert/bench/sweep.hpp"
#include "culvert/bench/table.hpp"
#include "culvert/io/whole_file.hpp"
#include "terminal.hpp"

namespace culvert {
namespace {

constexpr unsigned rounds_to_trust = 5;
constexpr int status_usage = 2;

std::string_view name_of(BenchKind kind) {
  return kind == BenchKind::Quick ? "quick" : kind == BenchKind::Full ? "full" : "default";
}

/// Of all processors since the machine started: in all, and at work. In ticks.
std::pair<double, double> processor_ticks() {
  std::ifstream file("/proc/stat");
  std::string name;
  file >> name;
  double all = 0;
  double idle = 0;
  double ticks = 0;
  // user nice system idle iowait irq softirq steal: proc(5)
  for (int i = 0; i < 8 && file >> ticks; ++i) {
    all += ticks;
    if (i == 3 || i == 4) idle += ticks;
  }
  return {all, all - idle};
}

/// What other programs take away from the measuring; nothing if that is little.
std::optional<std::string> busyness() {
  constexpr double share_to_tell = 0.1;
  const auto [all_before, busy_before] = processor_ticks();
  std::this_thread::sleep_for(std::chrono::milliseconds(300));
  const auto [all, busy] = processor_ticks();
  const double share = all > all_before ? (busy - busy_before) / (all - all_before) : 0;
  if (share < share_to_tell) return std::nullopt;
  return fmt::format("Other programs had {:.0f} % of the processors when this began.", share * 100);
}

/// Tells how far it is and how long it will still take, by how long it took so far.
class ProgressShown {
 public:
  ProgressShown()
      : progress_([](std::string_view text) { std::fwrite(text.data(), 1, text.size(), stderr); },
                  columns_of(STDERR_FILENO)) {}
  ~ProgressShown() { progress_.clear(); }
  ProgressShown(const ProgressShown&) = delete;
  ProgressShown& operator=(const ProgressShown&) = delete;

  void show(const SweepProgress& news) {
    constexpr double share_to_judge_by = 0.02;
    const auto now = Progress::Time::clock::now();
    ProgressState state{news.share, news.what, std::nullopt};
    if (news.share > share_to_judge_by) {
      const std::chrono::duration<double> so_far = now - begun_;
      state.left = std::chrono::round<std::chrono::seconds>(so_far * (1 - news.share) / news.share);
    }
    progress_.show(state, now);
  }

 private:
  Progress progress_;
  Progress::Time begun_ = Progress::Time::clock::now();
};

}  // namespace

BenchMeasuring::BenchMeasuring(CLI::App& bench) {
  bench
      .add_option("PEER", peer_,
                  "Through the tunnel to this peer, which must allow it (AllowBench), instead of in a lab: its Name, "
                  "public key, endpoint or an address")
      ->type_name("");
  bench.add_option("--tunnel", tunnel_, "which tunnel, when the peer is in several")->type_name("NAME");
  CLI::Option* const quick = bench.add_flag("--quick", is_quick_, "the main differences only, in under a minute");
  bench.add_flag("--full", is_full_, "every combination: takes an hour and a half")->excludes(quick);
  const auto list = [&bench](const std::string& name, auto& values, const std::string& what) {
    bench.add_option(name, values, what)->delimiter(',')->type_name("LIST");
  };
  list("--mode", modes_, "of tun, tap, tap+bridge");
  list("--cipher", ciphers_, "of none, chacha20-poly1305, aes-256-gcm");
  list("--offloads", offloads_, "of off, udp, device, on");
  list("--size", sizes_, "of IP packets, in bytes");
  list("--queues", queues_, "of each device, 1 to 64");
  list("--streams", streams_, "of TCP, flows of UDP: 1 to 64");
  bench.add_option("--rounds", rounds_, "all is measured so many times (5)")
      ->check(CLI::Range(1U, 1000U))
      ->type_name("N");
  bench.add_option("--seed", seed_, "of the order within rounds")->type_name("N");
  bench.add_option("--json", json_, "write all of it there (docs/bench.md)")->type_name("FILE");
  bench.add_option("--report", report_, "draw it as a page there, HTML")->type_name("FILE");
}

BenchWish BenchMeasuring::wish() const {
  BenchWish wish;
  wish.kind = is_quick_ ? BenchKind::Quick : is_full_ ? BenchKind::Full : BenchKind::Default;
  for (const std::string& word : modes_) wish.modes.push_back(bench_mode_of(word));
  for (const std::string& word : offloads_) wish.offloads.push_back(offload_rung_of(word));
  for (const std::string& word : ciphers_) {
    const auto suite = cipher_suite_of(word);
    if (!suite) {
      throw std::invalid_argument("'" + word + "' is no cipher: expected none, chacha20-poly1305 or aes-256-gcm");
    }
    wish.ciphers.push_back(*suite);
  }
  wish.sizes = sizes_;
  wish.queues = queues_;
  wish.streams = streams_;
  return wish;
}

std::optional<BenchResult> BenchMeasuring::measure(const BenchWish& wish, const std::vector<BenchStage>& plan,
                                                   int& signal) const {
  SweepSettings settings;
  settings.rounds = rounds_;
  settings.times = trial_times_of(wish.kind);
  settings.seed = seed_ ? *seed_ : std::random_device{}();
  const bool with_lab = peer_.empty();
  const auto measuring = [&](const OnSweepProgress& tell) {
    if (!with_lab) return measure_peer(peer_, tunnel_, wish, settings, tell);
    BenchLab lab;
    const auto open = [&lab](const Arrangement& arrangement) { return lab.open(arrangement); };
    return sweep(open, plan, settings, tell);
  };
  ProgressShown progress;
  return measure_in_child(
      with_lab, measuring, [&progress](const SweepProgress& news) { progress.show(news); }, signal);
}

int BenchMeasuring::run() const {
  std::optional<WholeFile> json, report;
  if (!json_.empty()) json.emplace(json_, "writing the result");
  if (!report_.empty()) report.emplace(report_, "writing the report");
  BenchWish wish;
  std::vector<BenchStage> plan;
  try {
    wish = this->wish();
    if (peer_.empty()) {
      plan = plan_of(wish);
    } else {
      check_for_tunnel(wish);
    }
  } catch (const std::invalid_argument& error) {
    std::fprintf(stderr, "culvert: %s\n", error.what());
    return status_usage;
  }
  const auto busyness_before = busyness();
  int signal = 0;
  std::optional<BenchResult> result = measure(wish, plan, signal);
  if (!result) {
    std::fputs(peer_.empty() ? "culvert: interrupted; the lab is gone, and no file was written\n"
                             : "culvert: interrupted; no file was written\n",
               stderr);
    return ended(128 + signal, signal);
  }
  result->kind = peer_.empty() ? name_of(wish.kind) : "peer";
  auto offloads = std::move(result->machine.offloads);
  result->machine = describe_machine(CULVERT_VERSION);
  result->machine.offloads = std::move(offloads);
  if (::geteuid() != 0 && peer_.empty()) {
    result->notes.push_back(
        "As an ordinary user's, sockets have buffers no larger than net.core.rmem_max, so that less passes without "
        "loss.");
  }
  if (busyness_before) result->notes.push_back(*busyness_before);
  if (rounds_ < rounds_to_trust) {
    result->notes.push_back("Of fewer than five rounds, least and most tell little of the spread.");
  }
  const TableStyle style{columns_of(STDOUT_FILENO).value_or(80), shows_color(STDOUT_FILENO)};
  std::fputs(to_table(*result, style).c_str(), stdout);
  if (json) json->write(to_json(*result));
  if (report) report->write(to_page(*result));
  return 0;
}

}  // namespace culvert
