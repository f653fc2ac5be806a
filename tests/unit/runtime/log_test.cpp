// Log lines on a standard error that takes them, and on one that does not.
#include "culvert/runtime/log.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <future>
#include <stdexcept>
#include <string>

#include "culvert/io/unique_fd.hpp"
#include "support/temporary_directory.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;

/// Standard error is a pipe for as long as this lives.
class ErrorPipe {
 public:
  ErrorPipe() : before_(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)) {
    std::array<int, 2> ends{};
    EXPECT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
    reading_ = UniqueFd(ends[0]);
    ::dup2(ends[1], STDERR_FILENO);
    ::close(ends[1]);
    ::fcntl(reading_.get(), F_SETFL, O_NONBLOCK);
  }
  ~ErrorPipe() { ::dup2(before_.get(), STDERR_FILENO); }
  ErrorPipe(const ErrorPipe&) = delete;
  ErrorPipe& operator=(const ErrorPipe&) = delete;

  std::string take(std::size_t size_max = 1 << 17) {
    std::string all(size_max, '\0');
    const ssize_t size = ::read(reading_.get(), all.data(), all.size());
    all.resize(size > 0 ? static_cast<std::size_t>(size) : 0);
    return all;
  }
  void fill() {
    const int flags = ::fcntl(STDERR_FILENO, F_GETFL);
    ::fcntl(STDERR_FILENO, F_SETFL, flags | O_NONBLOCK);
    while (::write(STDERR_FILENO, "x", 1) == 1) {
    }
    ::fcntl(STDERR_FILENO, F_SETFL, flags);
  }

 private:
  UniqueFd before_;
  UniqueFd reading_;
};

TEST(Log, goes_to_standard_error_with_time_and_level) {
  ::unsetenv("JOURNAL_STREAM");
  ErrorPipe pipe;
  start_log(spdlog::level::info);
  spdlog::warn("the sky is {}", "falling");
  EXPECT_THAT(pipe.take(), MatchesRegex("[0-9-]+ [0-9:.]+ warning: the sky is falling\n"));
}

/// Standard error is `file` for as long as this lives.
class ErrorFile {
 public:
  explicit ErrorFile(const std::string& file) : before_(::fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3)) {
    const UniqueFd opened(::open(file.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
    ::dup2(opened.get(), STDERR_FILENO);
  }
  ~ErrorFile() { ::dup2(before_.get(), STDERR_FILENO); }
  ErrorFile(const ErrorFile&) = delete;
  ErrorFile& operator=(const ErrorFile&) = delete;

 private:
  UniqueFd before_;
};

std::string text_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

TEST(Log, that_is_limited_keeps_the_newest_lines_whole) {
  ::setenv("JOURNAL_STREAM", "8:12345", 1);
  const test::TemporaryDirectory directory;
  const ErrorFile redirected(directory.file("log"));
  start_log(spdlog::level::info);
  limit_log(4000);
  for (int i = 1000; i < 3000; ++i) {
    spdlog::info("line {}", i);
    ASSERT_LE(std::filesystem::file_size(directory.file("log")), 4000u);
  }
  const std::string text = text_of(directory.file("log"));
  EXPECT_THAT(text, EndsWith("info: line 2998\ninfo: line 2999\n"));
  EXPECT_THAT(text, MatchesRegex("(info: line [0-9]+\n)+"));
  EXPECT_GE(text.size(), 900u);
}

TEST(Log, that_is_limited_makes_room_of_what_others_wrote) {
  ::setenv("JOURNAL_STREAM", "8:12345", 1);
  const test::TemporaryDirectory directory;
  const ErrorFile redirected(directory.file("log"));
  start_log(spdlog::level::info);
  limit_log(4000);
  std::ofstream(directory.file("log"), std::ios::app) << std::string(100'000, 'x') << '\n';
  spdlog::info("hello");
  EXPECT_EQ(text_of(directory.file("log")), "info: hello\n");
}

TEST(Log, on_a_file_of_somebody_else_has_no_limit) {
  ::setenv("JOURNAL_STREAM", "8:12345", 1);
  const test::TemporaryDirectory directory;
  const ErrorFile redirected(directory.file("log"));
  start_log(spdlog::level::info);
  for (int i = 0; i < 1000; ++i) spdlog::info("line");
  EXPECT_EQ(std::filesystem::file_size(directory.file("log")), 11'000u);
}

TEST(Log, may_be_limited_where_it_is_no_file) {
  ::setenv("JOURNAL_STREAM", "8:12345", 1);
  ErrorPipe pipe;
  start_log(spdlog::level::info);
  limit_log(1);
  spdlog::info("hello");
  EXPECT_EQ(pipe.take(), "info: hello\n");
}

TEST(Log, leaves_the_time_to_the_journal) {
  ::setenv("JOURNAL_STREAM", "8:12345", 1);
  ErrorPipe pipe;
  start_log(spdlog::level::info);
  spdlog::info("hello");
  EXPECT_EQ(pipe.take(), "info: hello\n");
  ::unsetenv("JOURNAL_STREAM");
}

TEST(Log, leaves_out_what_is_below_its_level) {
  ErrorPipe pipe;
  start_log(spdlog::level::warn);
  spdlog::info("not this");
  spdlog::error("this");
  const std::string text = pipe.take();
  EXPECT_THAT(text, HasSubstr("this\n"));
  EXPECT_THAT(text, ::testing::Not(HasSubstr("not this")));
}

TEST(Log, never_waits_for_a_full_pipe_and_goes_on_when_it_is_read_again) {
  ErrorPipe pipe;
  start_log(spdlog::level::info);
  pipe.fill();
  auto logging = std::async(std::launch::async, [] {
    for (int i = 0; i < 1000; ++i) spdlog::warn("lost {}", i);
  });
  const bool has_finished = logging.wait_for(10s) == std::future_status::ready;
  EXPECT_TRUE(has_finished);
  EXPECT_THAT(pipe.take(), ::testing::Not(HasSubstr("lost")));
  while (!has_finished && logging.wait_for(1ms) != std::future_status::ready) pipe.take();
  spdlog::warn("heard again");
  EXPECT_THAT(pipe.take(), HasSubstr("heard again\n"));
}

TEST(Log, does_not_wait_for_room_that_is_too_small_for_a_line) {
  ErrorPipe pipe;
  start_log(spdlog::level::info);
  pipe.fill();
  pipe.take(100);
  auto logging = std::async(std::launch::async, [] { spdlog::warn("{}", std::string(3000, 'y')); });
  EXPECT_EQ(logging.wait_for(10s), std::future_status::ready);
  while (logging.wait_for(1ms) != std::future_status::ready) pipe.take();
}

TEST(Log, cuts_a_long_line_and_ends_it) {
  ErrorPipe pipe;
  start_log(spdlog::level::info);
  spdlog::warn("{}", std::string(100'000, 'z'));
  spdlog::warn("next");
  const std::string text = pipe.take();
  const std::size_t cut = text.find('\n');
  EXPECT_EQ(cut + 1, 4096u);
  EXPECT_THAT(text.substr(cut + 1), EndsWith("warning: next\n"));
}

TEST(Log, survives_a_standard_error_that_is_closed) {
  ErrorPipe pipe;
  start_log(spdlog::level::info);
  ::close(STDERR_FILENO);
  spdlog::warn("into the void");
}

TEST(LogLevel, is_named_by_our_words_and_those_of_wireguard_go) {
  EXPECT_EQ(log_level_of("trace"), spdlog::level::trace);
  EXPECT_EQ(log_level_of("debug"), spdlog::level::debug);
  EXPECT_EQ(log_level_of("verbose"), spdlog::level::debug);
  EXPECT_EQ(log_level_of("info"), spdlog::level::info);
  EXPECT_EQ(log_level_of("warn"), spdlog::level::warn);
  EXPECT_EQ(log_level_of("error"), spdlog::level::err);
  EXPECT_EQ(log_level_of("off"), spdlog::level::off);
  EXPECT_EQ(log_level_of("silent"), spdlog::level::off);
}

TEST(LogLevel, refuses_other_words_and_shows_them_safely) {
  for (const std::string_view word : {"", "Info", "warning", "info ", "0"}) {
    EXPECT_THROW((void)log_level_of(word), std::invalid_argument) << word;
  }
  try {
    (void)log_level_of("a\nb");
    ADD_FAILURE() << "nothing was thrown";
  } catch (const std::invalid_argument& error) {
    EXPECT_THAT(error.what(), HasSubstr("a\\x0ab"));
  }
}

class LogLimits : public ::testing::Test {
 protected:
  Timestamp now{1h};
  LogLimit limit{2, 10s};
};

TEST_F(LogLimits, allow_a_burst_and_hold_back_the_rest) {
  EXPECT_TRUE(limit.allow(now));
  EXPECT_TRUE(limit.allow(now + 1s));
  EXPECT_FALSE(limit.allow(now + 2s));
  EXPECT_FALSE(limit.allow(now + 9s));
}

TEST_F(LogLimits, begin_anew_after_the_interval) {
  for (int i = 0; i < 5; ++i) (void)limit.allow(now);
  EXPECT_FALSE(limit.allow(now + 10s - 1ns));
  EXPECT_TRUE(limit.allow(now + 10s));
  EXPECT_TRUE(limit.allow(now + 10s));
  EXPECT_FALSE(limit.allow(now + 10s));
}

TEST_F(LogLimits, tell_how_many_lines_were_held_back_once) {
  EXPECT_EQ(limit.take_suppressed(), 0u);
  for (int i = 0; i < 5; ++i) (void)limit.allow(now);
  EXPECT_EQ(limit.take_suppressed(), 3u);
  EXPECT_EQ(limit.take_suppressed(), 0u);
}

TEST_F(LogLimits, allow_a_line_right_after_boot) {
  EXPECT_TRUE(limit.allow(Timestamp(1ns)));
}

}  // namespace
}  // namespace culvert
