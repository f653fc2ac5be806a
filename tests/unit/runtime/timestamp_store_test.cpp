// Timestamps kept in files.
#include "culvert/runtime/timestamp_store.hpp"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <future>
#include <memory>
#include <thread>

#include "support/captured_log.hpp"
#include "support/ordinary_user.hpp"
#include "support/temporary_directory.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;
using test::CapturedLog;
using test::TemporaryDirectory;

PublicKey key_of(int first) {
  std::array<std::byte, key_size> bytes{};
  bytes[0] = static_cast<std::byte>(first);
  return PublicKey(bytes);
}

const PublicKey key = key_of(0xab);
const Tai64n earlier = Tai64n::from(WallTime(1'700'000'000s));
const Tai64n later = Tai64n::from(WallTime(1'700'000'001s));

void write(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

/// What a fresh store finds in a file of this text.
std::optional<Tai64n> loaded(const std::string& text) {
  const TemporaryDirectory directory;
  const TimestampStore store(key, directory.path());
  write(store.path(), text);
  return store.load();
}

TEST(TimestampStore, finds_what_an_earlier_one_saved) {
  const TemporaryDirectory directory;
  { TimestampStore(key, directory.path()).save(later); }
  EXPECT_EQ(TimestampStore(key, directory.path()).load(), later);
}

TEST(TimestampStore, finds_nothing_where_nothing_was_saved) {
  const TemporaryDirectory directory;
  EXPECT_EQ(TimestampStore(key, directory.path()).load(), std::nullopt);
  EXPECT_EQ(TimestampStore(key, directory.file("absent")).load(), std::nullopt);
}

TEST(TimestampStore, keeps_one_file_for_each_key) {
  const TemporaryDirectory directory;
  { TimestampStore(key, directory.path()).save(earlier); }
  { TimestampStore(key_of(1), directory.path()).save(later); }
  EXPECT_EQ(TimestampStore(key, directory.path()).load(), earlier);
  EXPECT_EQ(TimestampStore(key_of(1), directory.path()).load(), later);
  EXPECT_EQ(TimestampStore(key_of(2), directory.path()).load(), std::nullopt);
}

TEST(TimestampStore, writes_a_line_of_hexadecimal_digits) {
  const TemporaryDirectory directory;
  std::string path;
  {
    TimestampStore store(key, directory.path());
    store.save(earlier);
    path = store.path();
  }
  EXPECT_EQ(path, directory.path() + "/ab" + std::string(62, '0') + ".tai64n");
  EXPECT_EQ(read(path), "400000006553f10a00000000\n");
}

TEST(TimestampStore, reads_what_it_writes) {
  EXPECT_EQ(loaded("400000006553f10a00000000\n"), earlier);
  EXPECT_NE(loaded("400000006553f10a3b000000\n"), std::nullopt);
}

TEST(TimestampStore, ignores_what_makes_no_sense) {
  EXPECT_EQ(loaded(""), std::nullopt);
  EXPECT_EQ(loaded("400000006553f10a00000000"), std::nullopt);
  EXPECT_EQ(loaded("400000006553f10a000000000"), std::nullopt);
  EXPECT_EQ(loaded("400000006553f10a00000000\n\n"), std::nullopt);
  EXPECT_EQ(loaded("400000006553f10a0000000\n"), std::nullopt);
  EXPECT_EQ(loaded("400000006553f10A00000000\n"), std::nullopt);
  EXPECT_EQ(loaded("400000006553f10g00000000\n"), std::nullopt);
  EXPECT_EQ(loaded("400000006553f10/00000000\n"), std::nullopt);
  EXPECT_EQ(loaded("400000006553f10a000000:0\n"), std::nullopt);
  EXPECT_EQ(loaded(std::string(25, '\0')), std::nullopt);
}

TEST(TimestampStore, ignores_seconds_that_are_reserved_and_nanoseconds_that_are_none) {
  EXPECT_EQ(loaded("800000000000000000000000\n"), std::nullopt);
  EXPECT_EQ(loaded("ffffffffffffffffffffffff\n"), std::nullopt);
  EXPECT_EQ(loaded("400000006553f10a3b9aca00\n"), std::nullopt);
  EXPECT_NE(loaded("400000006553f10a3b9ac9ff\n"), std::nullopt);
}

TEST(TimestampStore, ignores_a_directory_in_the_place_of_the_file) {
  const TemporaryDirectory directory;
  const TimestampStore store(key, directory.path());
  std::filesystem::create_directory(store.path());
  EXPECT_EQ(store.load(), std::nullopt);
}

TEST(TimestampStore, says_that_a_timestamp_is_lost_and_nothing_where_there_was_none) {
  const TemporaryDirectory directory;
  const TimestampStore store(key, directory.path());
  const CapturedLog log;
  EXPECT_EQ(store.load(), std::nullopt);
  write(directory.file("no directory"), "");
  EXPECT_EQ(TimestampStore(key, directory.file("no directory")).load(), std::nullopt);
  EXPECT_EQ(log.text(), "");
  write(store.path(), "nonsense\n");
  EXPECT_EQ(store.load(), std::nullopt);
  EXPECT_EQ(log.count("warning: " + store.path() + ": is not a timestamp"), 1u) << log.text();
  std::filesystem::remove(store.path());
  std::filesystem::create_symlink(store.path(), store.path());
  EXPECT_EQ(store.load(), std::nullopt);
  EXPECT_EQ(log.count("Too many levels of symbolic links"), 1u) << log.text();
}

TEST(TimestampStore, lets_nobody_else_read_file_or_directory) {
  const TemporaryDirectory parent;
  const std::string directory = parent.file("state");
  std::string path;
  {
    TimestampStore store(key, directory);
    store.save(later);
    path = store.path();
  }
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  ASSERT_EQ(::stat(directory.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0700u);
}

TEST(TimestampStore, replaces_the_file_instead_of_writing_into_it) {
  const TemporaryDirectory directory;
  { TimestampStore(key, directory.path()).save(earlier); }
  const std::string path = TimestampStore(key, directory.path()).path();
  std::filesystem::create_hard_link(path, directory.file("as-it-was"));
  { TimestampStore(key, directory.path()).save(later); }
  EXPECT_EQ(read(directory.file("as-it-was")), "400000006553f10a00000000\n");
  EXPECT_EQ(read(path), "400000006553f10b00000000\n");
}

TEST(TimestampStore, leaves_nothing_but_the_file) {
  const TemporaryDirectory directory;
  { TimestampStore(key, directory.path()).save(later); }
  EXPECT_EQ(std::distance(std::filesystem::directory_iterator(directory.path()), {}), 1);
}

TEST(TimestampStore, follows_no_link_that_lies_where_it_writes) {
  const TemporaryDirectory directory;
  write(directory.file("victim"), "untouched");
  const std::string path = TimestampStore(key, directory.path()).path();
  std::filesystem::create_symlink(directory.file("victim"), path + ".new");
  { TimestampStore(key, directory.path()).save(later); }
  EXPECT_EQ(read(directory.file("victim")), "untouched");
  EXPECT_EQ(TimestampStore(key, directory.path()).load(), later);
}

TEST(TimestampStore, gives_the_file_its_mode_whatever_was_left_behind) {
  const TemporaryDirectory directory;
  const std::string path = TimestampStore(key, directory.path()).path();
  write(path + ".new", "left by a process that was killed, and longer than what comes next");
  ::chmod((path + ".new").c_str(), 0644);
  { TimestampStore(key, directory.path()).save(later); }
  struct stat status {};
  ASSERT_EQ(::stat(path.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0600u);
  EXPECT_EQ(TimestampStore(key, directory.path()).load(), later);
}

TEST(TimestampStore, ends_with_the_newest_of_many) {
  const TemporaryDirectory directory;
  Tai64n timestamp = earlier;
  {
    TimestampStore store(key, directory.path());
    for (int i = 0; i < 2000; ++i) store.save(timestamp = timestamp.next());
  }
  EXPECT_EQ(TimestampStore(key, directory.path()).load(), timestamp);
}

TEST(TimestampStore, goes_without_waiting_for_a_slow_disk_and_leaves_the_newest_to_be_written) {
  const TemporaryDirectory directory;
  auto writer = std::make_shared<BackgroundWriter>();
  std::promise<void> disk;
  writer->post([ready = disk.get_future().share()] { ready.wait(); });
  for (const int owner : {1, 2}) {
    TimestampStore store(key_of(owner), directory.path(), writer);
    store.save(earlier);
    store.save(later);
  }
  EXPECT_TRUE(std::filesystem::is_empty(directory.path()));
  disk.set_value();
  writer.reset();
  EXPECT_EQ(TimestampStore(key_of(1), directory.path()).load(), later);
  EXPECT_EQ(TimestampStore(key_of(2), directory.path()).load(), later);
}

TEST(TimestampStore, complains_once_of_a_directory_that_cannot_be_written) {
  const TemporaryDirectory directory;
  write(directory.file("file"), "in the way");
  const CapturedLog log;
  {
    TimestampStore store(key, directory.file("file"));
    EXPECT_EQ(store.load(), std::nullopt);
    store.save(earlier);
    for (int i = 0; i < 1000 && log.text().empty(); ++i) std::this_thread::sleep_for(5ms);
    store.save(later);
  }
  EXPECT_EQ(log.count("\n"), 1u) << log.text();
  EXPECT_EQ(log.count("warning: "), 1u) << log.text();
  EXPECT_THAT(log.text(), ::testing::HasSubstr("will not outlive this process"));
}

TEST(TimestampStore, makes_the_directory_but_not_its_parents) {
  const TemporaryDirectory directory;
  const CapturedLog log;
  { TimestampStore(key, directory.file("a/b")).save(later); }
  EXPECT_FALSE(std::filesystem::exists(directory.file("a")));
  EXPECT_THAT(log.text(), ::testing::HasSubstr("creating"));
}

TEST(StateDirectory, of_an_ordinary_user_is_at_his_home) {
  test::as_ordinary_user([] {
    ::unsetenv("STATE_DIRECTORY");
    ::unsetenv("XDG_STATE_HOME");
    ::setenv("HOME", "/home/somebody", 1);
    EXPECT_EQ(state_directory(), "/home/somebody/.local/state/culvert");
    ::setenv("XDG_STATE_HOME", "/srv/state", 1);
    EXPECT_EQ(state_directory(), "/srv/state/culvert");
  });
}

TEST(StateDirectory, is_what_systemd_says_or_the_usual_one) {
  ::unsetenv("STATE_DIRECTORY");
  EXPECT_EQ(state_directory(), "/var/lib/culvert");
  ::setenv("STATE_DIRECTORY", "", 1);
  EXPECT_EQ(state_directory(), "/var/lib/culvert");
  ::setenv("STATE_DIRECTORY", "/srv/state", 1);
  EXPECT_EQ(state_directory(), "/srv/state");
  ::setenv("STATE_DIRECTORY", "/srv/first:/srv/second", 1);
  EXPECT_EQ(state_directory(), "/srv/first");
  ::unsetenv("STATE_DIRECTORY");
}

}  // namespace
}  // namespace culvert
