// The parent waits for news, its child measures.
#include "culvert/bench/measuring_process.hpp"

#include <poll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <csignal>
#include <stdexcept>
#include <system_error>

#include "culvert/bench/result_json.hpp"
#include "culvert/unshare/child.hpp"
#include "culvert/unshare/held_signals.hpp"

namespace culvert {
namespace {

constexpr char kind_progress = 'P';  // thousandths, a space, and what is measured
constexpr char kind_result = 'R';    // with a descriptor of the JSON text

UniqueFd in_memory(const std::string& text) {
  UniqueFd file(::memfd_create("result", MFD_CLOEXEC));
  if (!file.is_open()) throw std::system_error(errno, std::system_category(), "keeping the result in memory");
  for (std::size_t written = 0; written < text.size();) {
    const ssize_t more = ::write(file.get(), text.data() + written, text.size() - written);
    if (more < 0) throw std::system_error(errno, std::system_category(), "keeping the result in memory");
    written += static_cast<std::size_t>(more);
  }
  return file;
}

std::string all_of(const UniqueFd& file) {
  std::string text(static_cast<std::size_t>(std::max<off_t>(::lseek(file.get(), 0, SEEK_END), 0)), '\0');
  if (::pread(file.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    throw std::system_error(errno, std::system_category(), "reading the result");
  }
  return text;
}

int live(Channel& parent, const Measuring& measure) {
  const auto tell = [&parent](const SweepProgress& progress) {
    parent.send(kind_progress, std::to_string(static_cast<int>(progress.share * 1000)) + " " + progress.what);
  };
  const UniqueFd result = in_memory(to_json(measure(tell)));
  const std::array<int, 1> descriptor{result.get()};
  parent.send(kind_result, {}, descriptor);
  return 0;
}

SweepProgress progress_of(const std::string& text) {
  SweepProgress progress;
  int thousandths = 0;
  const auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), thousandths);
  progress.share = thousandths / 1000.0;
  if (failed == std::errc() && end != text.data() + text.size())
    progress.what.assign(end + 1, text.data() + text.size());
  return progress;
}

bool is_end(int number) {
  return number == SIGINT || number == SIGTERM || number == SIGHUP || number == SIGQUIT;
}

}  // namespace

std::optional<BenchResult> measure_in_child(bool with_lab, const Measuring& measure, const OnSweepProgress& on_progress,
                                            int& signal) {
  HeldSignals signals;
  NewNamespaces namespaces;
  if (with_lab) {
    namespaces.ids = id_map_if_needed(IdMap::Root);
  } else {
    namespaces.network = namespaces.mounts = namespaces.processes = false;
  }
  UnsharedChild child = UnsharedChild::start(namespaces, [&](Channel& parent) { return live(parent, measure); });
  for (;;) {
    std::array<pollfd, 2> ready{{{child.channel().fd(), POLLIN, 0}, {signals.fd(), POLLIN, 0}}};
    if (::poll(ready.data(), ready.size(), -1) < 0 && errno != EINTR) {
      throw std::system_error(errno, std::system_category(), "waiting for the benchmark");
    }
    while (const auto arrived = signals.take()) {
      if (!is_end(arrived->number)) continue;
      signal = arrived->number;
      return std::nullopt;
    }
    if (ready[0].revents == 0) continue;
    const auto message = child.channel().receive();
    if (!message)
      throw std::runtime_error("the process that measures has ended with status " + std::to_string(child.wait()));
    if (message->kind == UnsharedChild::kind_failure) throw std::runtime_error(message->text);
    if (message->kind == kind_progress && on_progress) on_progress(progress_of(message->text));
    if (message->kind == kind_result && !message->descriptors.empty()) {
      return result_of_json(all_of(message->descriptors.front()), "the result of the measuring process");
    }
  }
}

}  // namespace culvert
