// The process's log on standard error.
#include "culvert/runtime/log.hpp"

#include <poll.h>
#include <spdlog/sinks/base_sink.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <utility>

namespace culvert {
namespace {

constexpr std::size_t line_size_max = PIPE_BUF;

class StandardErrorSink final : public spdlog::sinks::base_sink<std::mutex> {
 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    // A pipe that polls writable takes PIPE_BUF bytes without blocking (pipe(7)).
    pollfd ready{STDERR_FILENO, POLLOUT, 0};
    if (::poll(&ready, 1, 0) != 1 || (ready.revents & POLLOUT) == 0) return;
    if (line.size() > line_size_max) {
      line.resize(line_size_max);
      line[line_size_max - 1] = '\n';
    }
    [[maybe_unused]] const auto written = ::write(STDERR_FILENO, line.data(), line.size());
  }
  void flush_() override {}
};

}  // namespace

void start_log(spdlog::level::level_enum level) {
  auto logger = std::make_shared<spdlog::logger>("culvert", std::make_shared<StandardErrorSink>());
  logger->set_level(level);
  logger->set_pattern(std::getenv("JOURNAL_STREAM") ? "%l: %v" : "%Y-%m-%d %H:%M:%S.%e %l: %v");
  spdlog::set_default_logger(std::move(logger));
}

spdlog::level::level_enum log_level_of(std::string_view word) {
  static constexpr std::pair<std::string_view, spdlog::level::level_enum> words[] = {
      {"trace", spdlog::level::trace}, {"debug", spdlog::level::debug}, {"verbose", spdlog::level::debug},
      {"info", spdlog::level::info},   {"warn", spdlog::level::warn},   {"error", spdlog::level::err},
      {"off", spdlog::level::off},     {"silent", spdlog::level::off}};
  for (const auto& [name, level] : words) {
    if (word == name) return level;
  }
  throw std::invalid_argument("log level \"" + printable(word) + "\": use trace, debug, info, warn, error or off");
}

bool LogLimit::allow(Timestamp now) noexcept {
  if (now - window_ >= interval_ || window_ == Timestamp{}) {
    window_ = now;
    used_ = 0;
  }
  if (used_ < burst_) {
    ++used_;
    return true;
  }
  ++suppressed_;
  return false;
}

}  // namespace culvert
