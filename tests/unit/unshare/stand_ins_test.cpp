// Files that stay what they are for one process, whatever others put in their places.
#include "culvert/unshare/stand_ins.hpp"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <sstream>

#include "culvert/unshare/child.hpp"
#include "culvert/unshare/mounts.hpp"
#include "support/ordinary_user.hpp"
#include "support/temporary_directory.hpp"

namespace culvert {
namespace {

std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

class StandInsTest : public ::testing::TestWithParam<bool> {
 protected:
  void SetUp() override {
    ::chmod(directory_.path().c_str(), 0777);
    for (const char* name : {"memory", "etc"}) {
      ::mkdir(directory_.file(name).c_str(), 0777);
      ::chmod(directory_.file(name).c_str(), 0777);
    }
    std::ofstream(file()) << "old";
  }

  [[nodiscard]] std::string file() const { return directory_.file("etc/file"); }

  /// As root or as an ordinary user: runs `body` in a mount namespace of its own. What it returns is a complaint.
  void inside(const std::function<std::string(StandIns&)>& body) {
    const auto attempt = [&] {
      NewNamespaces namespaces;
      namespaces.ids = id_map_if_needed(IdMap::Own);
      UnsharedChild child = UnsharedChild::start(namespaces, [&](Channel& parent) {
        keep_mounts_to_oneself();
        empty_folders(directory_.file("memory"), {});
        StandIns files;
        files.make_room_in(directory_.file("memory"));
        parent.send('r', body(files));
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

  /// Has a shell do `change` where the mounts are not, and attends to it.
  [[nodiscard]] bool attend_after(const std::string& change, StandIns& files) const {
    std::ofstream(directory_.file("order.new")) << "cd " << directory_.path() << "/etc && " << change;
    std::rename(directory_.file("order.new").c_str(), directory_.file("order").c_str());
    while (::access(directory_.file("order").c_str(), F_OK) == 0) ::usleep(1000);
    pollfd news{files.fd(), POLLIN, 0};
    if (::poll(&news, 1, 30'000) != 1) return false;
    files.attend();
    return true;
  }

  /// Outside, until the test is over.
  class Shell {
   public:
    explicit Shell(const std::string& folder) : pid_(::fork()) {
      if (pid_ != 0) return;
      const std::string script = "while :; do [ -e " + folder + "/order ] && { sh " + folder + "/order; rm " + folder +
                                 "/order; }; sleep 0.01; done";
      ::execl("/bin/sh", "sh", "-c", script.c_str(), nullptr);
      ::_exit(127);
    }
    ~Shell() {
      ::kill(pid_, SIGKILL);
      ::waitpid(pid_, nullptr, 0);
    }
    Shell(const Shell&) = delete;
    Shell& operator=(const Shell&) = delete;

   private:
    pid_t pid_;
  };

  test::TemporaryDirectory directory_;
};

TEST_P(StandInsTest, read_as_they_should_and_cannot_be_written) {
  inside([&](StandIns& files) -> std::string {
    files.put_over(file(), "new");
    files.put_over(directory_.file("etc/missing"), "made");
    if (text_of(file()) != "new") return "it reads as " + text_of(file());
    if (text_of(directory_.file("etc/missing")) != "made") return "what was missing is not there";
    if (::access(directory_.file("memory/.stand-ins/0").c_str(), W_OK) == 0)
      return "it can be written where it is made";
    return ::access(file().c_str(), W_OK) == 0 ? "it can be written" : "";
  });
  EXPECT_EQ(text_of(file()), "old");
}

TEST_P(StandInsTest, are_back_after_others_put_something_in_their_place) {
  const Shell shell(directory_.path());
  inside([&](StandIns& files) -> std::string {
    files.put_over(file(), "new");
    for (const char* change :
         {"echo host > fresh; mv fresh file", "mkdir far; echo far > far/file; ln -sf far/file link; mv -T link file",
          "echo farther > far/fresh; mv far/fresh far/file", "rm file; echo again > file"}) {
      if (!attend_after(change, files)) return std::string("nothing is told of ") + change;
      for (unsigned attempt = 0; text_of(file()) != "new" && attempt < 3000; ++attempt) {
        ::usleep(10'000);
        files.attend();
      }
      if (text_of(file()) != "new") return std::string("after ") + change + " it reads as " + text_of(file());
    }
    return "";
  });
  EXPECT_EQ(text_of(file()), "again\n");
}

TEST_P(StandInsTest, are_not_there_while_the_file_is_missing) {
  const Shell shell(directory_.path());
  inside([&](StandIns& files) -> std::string {
    files.put_over(file(), "new");
    if (!attend_after("rm file", files)) return "nothing is told";
    if (::access(file().c_str(), F_OK) == 0) return "it is there";
    if (!attend_after("echo host > file", files)) return "nothing is told of the new one";
    return text_of(file()) == "new" ? "" : "it reads as " + text_of(file());
  });
}

TEST_P(StandInsTest, are_back_after_a_folder_far_above_was_replaced) {
  const Shell shell(directory_.path());
  inside([&](StandIns& files) -> std::string {
    files.put_over(file(), "new");
    for (const char* change : {"mkdir -p a/b/c; echo far > a/b/c/file; ln -sf a/b/c/file link; mv -T link file",
                               "mv a/b gone; sleep 0.2; mkdir -p a/b/c; echo again > a/b/c/file",
                               "mv a lost; sleep 0.2; mkdir -p a/b/c; echo again > a/b/c/file"}) {
      if (!attend_after(change, files)) return std::string("nothing is told of ") + change;
      for (unsigned attempt = 0; text_of(file()) != "new" && attempt < 30; ++attempt) {
        pollfd news{files.fd(), POLLIN, 0};
        if (::poll(&news, 1, 30'000) != 1) return std::string("nothing more is told of ") + change;
        files.attend();
      }
      if (text_of(file()) != "new") return std::string("after ") + change + " it reads as " + text_of(file());
    }
    return "";
  });
}

TEST_P(StandInsTest, are_back_where_a_link_leads_into_the_memory) {
  const Shell shell(directory_.path());
  inside([&](StandIns& files) -> std::string {
    files.put_over(file(), "new");
    if (!attend_after("ln -s ../memory/deep/within/file link; mv -T link file", files)) return "nothing is told";
    return text_of(file()) == "new" ? "" : "it reads as " + text_of(file());
  });
}

INSTANTIATE_TEST_SUITE_P(ByRootAndOthers, StandInsTest, ::testing::Bool(),
                         [](const auto& each) { return each.param ? "OrdinaryUser" : "SameUser"; });

}  // namespace
}  // namespace culvert
