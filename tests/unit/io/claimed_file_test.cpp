// Files that tell whether their maker still lives.
#include "culvert/io/claimed_file.hpp"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "support/temporary_directory.hpp"

namespace culvert {
namespace {

TEST(ClaimedFile, is_nobody_elses_as_long_as_it_is_held) {
  const test::TemporaryDirectory folder;
  const std::string path = folder.file("claimed");
  auto held = make_claimed_file(path, "what for", 0600);
  ASSERT_TRUE(held);
  EXPECT_FALSE(take_deserted_file(path));
  EXPECT_EQ(make_claimed_file(path, "again", 0600).error().value(), EEXIST);
  held->reset();
  const auto taken = take_deserted_file(path);
  ASSERT_TRUE(taken);
  EXPECT_EQ(taken->text, "what for");
  EXPECT_FALSE(take_deserted_file(path)) << "two would undo the same";
}

TEST(ClaimedFile, is_deserted_when_its_maker_is_killed) {
  const test::TemporaryDirectory folder;
  const std::string path = folder.file("claimed");
  const pid_t maker = ::fork();
  if (maker == 0) {
    const auto held = make_claimed_file(path, "text", 0);
    ::raise(SIGSTOP);
    ::_exit(held ? 0 : 1);
  }
  int status = 0;
  ::waitpid(maker, &status, WUNTRACED);
  EXPECT_FALSE(take_deserted_file(path));
  ::kill(maker, SIGKILL);
  ::waitpid(maker, &status, 0);
  // Mode 0 keeps all but root out.
  EXPECT_EQ(take_deserted_file(path).has_value(), ::geteuid() == 0);
}

TEST(ClaimedFile, is_neither_a_link_nor_a_folder_nor_missing) {
  const test::TemporaryDirectory folder;
  std::ofstream(folder.file("file")) << "text";
  ASSERT_EQ(::symlink("file", folder.file("link").c_str()), 0);
  EXPECT_FALSE(take_deserted_file(folder.file("link")));
  EXPECT_FALSE(take_deserted_file(folder.path()));
  EXPECT_FALSE(take_deserted_file(folder.file("missing")));
  EXPECT_EQ(make_claimed_file(folder.file("no/such/folder"), "", 0600).error().value(), ENOENT);
}

}  // namespace
}  // namespace culvert
