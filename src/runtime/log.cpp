// The process's log on standard error.
#include "culvert/runtime/log.hpp"

#include <poll.h>
#include <spdlog/sinks/base_sink.h>
#include <sys/stat.h>
#include <unistd.h>

#include <climits>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <utility>

namespace culvert {
namespace {

constexpr std::size_t line_size_max = PIPE_BUF;

/// The end of the file, from the beginning of a line on.
std::string read_newest(int file, std::size_t file_size, std::size_t size_max) {
  std::string text(size_max, '\0');
  const ssize_t size = ::pread(file, text.data(), text.size(), static_cast<off_t>(file_size - size_max));
  text.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
  text.erase(0, text.find('\n') + 1);
  return text;
}

/// Everybody who has the file open appends, so that they all go on behind what stays.
void cut(int file, std::size_t size_max) {
  struct stat status {};
  if (::fstat(file, &status) != 0 || !S_ISREG(status.st_mode)) return;
  const auto size = static_cast<std::size_t>(status.st_size);
  if (size <= size_max) return;
  const std::string newest = read_newest(file, size, size_max / 4);
  if (::ftruncate(file, 0) != 0) return;
  [[maybe_unused]] const auto written = ::write(file, newest.data(), newest.size());
}

class StandardErrorSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  void limit(std::size_t size_max) {
    const std::lock_guard lock(mutex_);
    size_max_ = size_max;
  }

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
    if (size_max_ != 0) cut(STDERR_FILENO, size_max_);
  }
  void flush_() override {}

 private:
  std::size_t size_max_ = 0;  // 0: no limit
};

}  // namespace

void start_log(spdlog::level::level_enum level) {
  auto logger = std::make_shared<spdlog::logger>("culvert", std::make_shared<StandardErrorSink>());
  logger->set_level(level);
  logger->set_pattern(std::getenv("JOURNAL_STREAM") ? "%l: %v" : "%Y-%m-%d %H:%M:%S.%e %l: %v");
  spdlog::set_default_logger(std::move(logger));
}

void limit_log(std::size_t size_max) {
  for (const auto& sink : spdlog::default_logger()->sinks()) {
    if (auto* const file = dynamic_cast<StandardErrorSink*>(sink.get())) file->limit(size_max);
  }
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
