// Folders of control sockets.
#include "culvert/runtime/control_folders.hpp"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "culvert/io/record_folder.hpp"
#include "culvert/io/unique_fd.hpp"
#include "support/ordinary_user.hpp"
#include "support/temporary_directory.hpp"

namespace culvert {
namespace {

UniqueFd bound_at(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::ranges::copy(path, address.sun_path);
  UniqueFd server(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  EXPECT_EQ(::bind(server.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  return server;
}

pid_t somebody_gone() {
  const pid_t pid = ::fork();
  if (pid == 0) ::_exit(0);
  ::waitpid(pid, nullptr, 0);
  return pid;
}

bool is_there(const std::string& path) {
  return ::access(path.c_str(), F_OK) == 0;
}

TEST(ControlFolders, sweep_away_what_killed_processes_left_and_nothing_else) {
  const test::TemporaryDirectory folder;
  const pid_t gone = somebody_gone();
  const std::string deserted = folder.file(name_of_exec(gone) + ".sock");
  const std::string served = folder.file(name_of_exec(gone + 1) + ".sock");
  const std::string beginning = folder.file(name_of_exec(::getpid()) + ".sock");
  const std::string daemon = folder.file("wg0.sock");
  const std::string alike = folder.file("exec-1x.sock");
  (void)bound_at(deserted);
  const UniqueFd server = bound_at(served);
  ASSERT_EQ(::listen(server.get(), 1), 0);
  (void)bound_at(beginning);
  (void)bound_at(daemon);
  (void)bound_at(alike);
  sweep_control_folder(folder.path());
  EXPECT_FALSE(is_there(deserted));
  EXPECT_TRUE(is_there(served));
  EXPECT_TRUE(is_there(beginning));
  EXPECT_TRUE(is_there(daemon));
  EXPECT_TRUE(is_there(alike));
  sweep_control_folder(folder.file("missing"));
}

TEST(ControlFolders, name_a_command_by_the_process_that_runs_it) {
  EXPECT_EQ(pid_of_exec(name_of_exec(4711) + ".sock"), 4711);
  for (const char* name : {"exec-.sock", "exec-0.sock", "exec--1.sock", "exec-1", "wg0.sock", "exec-1.sock.sock"}) {
    EXPECT_EQ(pid_of_exec(name), std::nullopt) << name;
  }
}

class OwnControlFolder : public ::testing::Test {
 protected:
  void SetUp() override { ::chmod(directory_.path().c_str(), 0777); }
  void TearDown() override { ::unsetenv("XDG_RUNTIME_DIR"); }

  test::TemporaryDirectory directory_;
};

TEST_F(OwnControlFolder, is_below_the_users_runtime_folder_and_his_alone) {
  ::setenv("XDG_RUNTIME_DIR", directory_.path().c_str(), 1);
  test::as_ordinary_user([&] {
    const auto made = make_own_control_folder();
    ASSERT_EQ(made, directory_.file("culvert"));
    ::chmod(made->c_str(), 0777);
    ASSERT_EQ(make_own_control_folder(), made);
    struct stat status {};
    ASSERT_EQ(::stat(made->c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777, 0700U);
    const std::string usual = "/run/user/" + std::to_string(::geteuid());
    EXPECT_EQ(control_folders(),
              (std::vector<std::string>{std::string(control_socket_folder), *made, usual + "/culvert"}));
    ::setenv("XDG_RUNTIME_DIR", usual.c_str(), 1);
    EXPECT_EQ(control_folders(), (std::vector<std::string>{std::string(control_socket_folder), usual + "/culvert"}));
  });
}

TEST_F(OwnControlFolder, is_trusted_only_if_it_is_the_users_and_nobody_else_writes_there) {
  ::setenv("XDG_RUNTIME_DIR", directory_.path().c_str(), 1);
  const std::string folder = directory_.file("culvert");
  const std::vector<std::string> roots{std::string(control_socket_folder)};
  const std::vector<std::string> both{roots.front(), folder};
  ASSERT_EQ(::mkdir(folder.c_str(), 0700), 0);
  if (::geteuid() == 0) {
    test::as_ordinary_user([&] { EXPECT_EQ(trusted_control_folders(), roots) << "it is another user's"; });
  }
  ASSERT_EQ(::rmdir(folder.c_str()), 0);
  test::as_ordinary_user([&] {
    EXPECT_EQ(trusted_control_folders(), roots) << "it is missing";
    ASSERT_TRUE(make_own_control_folder());
    EXPECT_EQ(trusted_control_folders(), both);
    for (const mode_t open_to_others : {0770U, 0702U}) {
      ::chmod(folder.c_str(), open_to_others);
      EXPECT_EQ(trusted_control_folders(), roots) << open_to_others;
    }
    ::chmod(folder.c_str(), 0700);
    ASSERT_EQ(std::rename(folder.c_str(), directory_.file("elsewhere").c_str()), 0);
    ASSERT_EQ(::symlink("elsewhere", folder.c_str()), 0);
    EXPECT_EQ(trusted_control_folders(), roots) << "it is a link";
  });
}

TEST_F(OwnControlFolder, is_nowhere_without_a_runtime_folder) {
  test::as_ordinary_user([] {
    for (const char* value : {"", "relative", "/no/such/folder"}) {
      ::setenv("XDG_RUNTIME_DIR", value, 1);
      EXPECT_EQ(make_own_control_folder(), std::nullopt) << value;
    }
    ::unsetenv("XDG_RUNTIME_DIR");
    EXPECT_EQ(own_control_folder(), std::nullopt);
  });
}

TEST_F(OwnControlFolder, is_not_one_that_a_link_leads_to) {
  ::setenv("XDG_RUNTIME_DIR", directory_.path().c_str(), 1);
  const std::string elsewhere = directory_.file("elsewhere");
  ASSERT_EQ(::mkdir(elsewhere.c_str(), 0777), 0);
  ASSERT_EQ(::symlink(elsewhere.c_str(), directory_.file("culvert").c_str()), 0);
  test::as_ordinary_user([] { EXPECT_EQ(make_own_control_folder(), std::nullopt); });
}

}  // namespace
}  // namespace culvert
