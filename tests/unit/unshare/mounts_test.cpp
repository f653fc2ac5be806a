// Files and folders that one process sees differently.
#include "culvert/unshare/mounts.hpp"

#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <functional>
#include <sstream>

#include "culvert/unshare/child.hpp"
#include "support/ordinary_user.hpp"
#include "support/temporary_directory.hpp"

namespace culvert {
namespace {

using ::testing::HasSubstr;

std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class Mounts : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    ::chmod(directory_.path().c_str(), 0777);
    ::mkdir(folder().c_str(), 0777);
    ::chmod(folder().c_str(), 0777);
    std::ofstream(folder() + "/neighbour") << "neighbour";
  }

  [[nodiscard]] std::string folder() const { return directory_.file("folder"); }

  /// As root or as an ordinary user: runs `body` in a mount namespace of its own. What it returns is a complaint.
  void inside(const std::function<std::string()>& body) {
    const auto attempt = [&] {
      NewNamespaces namespaces;
      namespaces.ids = id_map_if_needed(IdMap::Own);
      UnsharedChild child = UnsharedChild::start(namespaces, [&](Channel& parent) {
        keep_mounts_to_oneself();
        parent.send('r', body());
        return 0;
      });
      EXPECT_EQ(child.await('r').text, "");
    };
    if (GetParam()) {
      test::as_ordinary_user(attempt);
    } else {
      attempt();
    }
  }

  test::TemporaryDirectory directory_;
};

TEST_P(Mounts, put_a_text_over_a_file_for_one_process_alone) {
  const std::string path = folder() + "/file";
  std::ofstream(path) << "old";
  inside([&]() -> std::string {
    put_over(path, "new");
    if (text_of(path) != "new") return "it reads as " + text_of(path);
    if (text_of(folder() + "/neighbour") != "neighbour") return "the neighbour is gone";
    return ::access(path.c_str(), W_OK) == 0 ? "it can be written" : "";
  });
  EXPECT_EQ(text_of(path), "old");
}

TEST_P(Mounts, put_a_text_over_what_a_link_leads_to) {
  const std::string path = folder() + "/link";
  std::ofstream(folder() + "/target") << "old";
  ASSERT_EQ(::symlink("target", path.c_str()), 0);
  inside([&] {
    put_over(path, "new");
    return text_of(path) == "new" ? "" : "it reads as " + text_of(path);
  });
  EXPECT_EQ(text_of(path), "old");
}

TEST_P(Mounts, put_a_text_where_there_was_no_file) {
  const std::string path = folder() + "/missing";
  inside([&]() -> std::string {
    put_over(path, "new");
    if (text_of(path) != "new") return "it reads as " + text_of(path);
    return text_of(folder() + "/neighbour") == "neighbour" ? "" : "the neighbour is gone";
  });
  EXPECT_NE(::access(path.c_str(), F_OK), 0);
}

TEST_P(Mounts, put_a_text_where_a_link_led_nowhere) {
  const std::string path = folder() + "/dangling";
  ASSERT_EQ(::symlink("/nowhere/at/all", path.c_str()), 0);
  inside([&] {
    put_over(path, "new");
    return text_of(path) == "new" ? "" : "it reads as " + text_of(path);
  });
}

TEST_P(Mounts, put_a_text_where_a_link_leads_into_a_hidden_folder) {
  const std::string path = directory_.file("link");
  ASSERT_EQ(::symlink((folder() + "/neighbour").c_str(), path.c_str()), 0);
  inside([&] {
    hide_folder(folder());
    put_over(path, "new");
    return text_of(path) == "new" ? "" : "it reads as " + text_of(path);
  });
}

TEST_P(Mounts, hide_a_folder_and_what_comes_into_it_later) {
  inside([&]() -> std::string {
    if (!hide_folder(folder())) return "it was not hidden";
    std::ofstream(folder() + "/own") << "own";
    return ::access((folder() + "/neighbour").c_str(), F_OK) == 0 ? "its neighbour is seen" : "";
  });
  EXPECT_EQ(text_of(folder() + "/neighbour"), "neighbour");
  EXPECT_NE(::access((folder() + "/own").c_str(), F_OK), 0);
}

TEST_P(Mounts, empty_folders_and_keep_all_else_whatever_others_do_to_them) {
  const auto within = [&](const char* name) { return folder() + "/" + name; };
  for (const char* name : {"daemon", "group", "group/daemon"}) ::mkdir(within(name).c_str(), 0777);
  for (const char* name : {"daemon/socket", "group/daemon/socket", "group/other"}) std::ofstream(within(name)) << name;
  inside([&]() -> std::string {
    empty_folders(folder(), {within("daemon"), within("group/daemon"), within("late/daemon")});
    for (const char* name : {"daemon", "group/daemon", "late/daemon"}) {
      if (::rmdir((folder() + "/.below/" + name).c_str()) == 0) return "nothing was in " + std::string(name);
    }
    for (const char* name : {"daemon/socket", "group/daemon/socket"}) {
      ::unlink((folder() + "/.below/" + name).c_str());
      std::ofstream(folder() + "/.below/" + name) << "anew";
      if (::access(within(name).c_str(), F_OK) == 0) return std::string(name).append(" is seen");
    }
    if (text_of(within("group/other")) != "group/other") return "group/other is gone";
    return text_of(within("neighbour")) == "neighbour" ? "" : "the neighbour is gone";
  });
  EXPECT_EQ(::access(within("late").c_str(), F_OK), -1);
}

TEST_P(Mounts, hide_no_folder_that_is_not_there) {
  inside([&] { return hide_folder(folder() + "/nowhere") ? "it was hidden" : ""; });
}

TEST_P(Mounts, show_the_own_processes) {
  inside([&]() -> std::string {
    if (!mount_own_proc()) return "";  // A container that hides parts of /proc.
    return text_of("/proc/self/stat").starts_with("1 ") ? "" : "the process is " + text_of("/proc/self/stat");
  });
}

TEST_P(Mounts, show_the_own_links) {
  inside([&]() -> std::string {
    if (!mount_own_sys()) return "";
    if (::access("/sys/class/net/lo", F_OK) != 0) return "no lo";
    return ::access("/sys/class/net/eth0", F_OK) == 0 ? "the links of others are seen" : "";
  });
}

INSTANTIATE_TEST_SUITE_P(Users, Mounts, ::testing::Values(false, true),
                         [](const auto& parameter) { return parameter.param ? "ordinary" : "root"; });

}  // namespace
}  // namespace culvert
