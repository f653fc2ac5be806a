// Finding namespaces by names, files and processes, beside `ip netns`.
#include "culvert/netns/known_namespaces.hpp"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <algorithm>

#include "culvert/netns/named_namespaces.hpp"
#include "culvert/netns/pinned_namespace.hpp"
#include "support/own_namespace.hpp"

namespace culvert {
namespace {

using test::in_own_namespace;
using test::output_of;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

void with_own_run(const std::function<void()>& body) {
  in_own_namespace([&] {
    ASSERT_EQ(::mount("tmpfs", "/run", "tmpfs", 0, nullptr), 0) << std::strerror(errno);
    body();
  });
}

// A process that waits inside a namespace.
class Sleeper {
 public:
  explicit Sleeper(const NetworkNamespace& space) : pid_(::fork()) {
    if (pid_ != 0) {
      while (namespace_of(pid_) != space.identity()) ::usleep(1000);
      return;
    }
    ::setns(space.fd(), CLONE_NEWNET);
    for (;;) ::pause();
  }
  ~Sleeper() { end(); }
  void end() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(std::exchange(pid_, 0), nullptr, 0);
  }
  [[nodiscard]] pid_t pid() const { return pid_; }

 private:
  pid_t pid_;
};

TEST(KnownNamespaces, processes_in_one_are_those_that_ip_lists) {
  with_own_run([] {
    add_namespace("blue");
    const auto blue = NetworkNamespace::open("blue");
    EXPECT_THAT(processes_in(blue.identity()), IsEmpty());
    Sleeper first(blue);
    const Sleeper second(blue);
    auto expected = std::vector<pid_t>{first.pid(), second.pid()};
    std::ranges::sort(expected);
    EXPECT_EQ(processes_in(blue.identity()), expected);
    EXPECT_EQ(output_of("ip netns pids blue | sort -n"),
              std::to_string(expected[0]) + "\n" + std::to_string(expected[1]) + "\n");
    const pid_t gone = first.pid();
    first.end();
    EXPECT_THAT(processes_in(blue.identity()), ElementsAre(second.pid()));
    EXPECT_FALSE(namespace_of(gone));
  });
}

TEST(KnownNamespaces, each_is_found_once_by_all_that_it_can_be_opened_by) {
  with_own_run([] {
    add_namespace("blue");
    output_of("ip netns add red && mkdir '/run/a folder' && ln -s /run/netns/red /run/netns/link");
    const auto blue = NetworkNamespace::open("blue");
    const auto pin = PinnedNamespace::at("/run/a folder/pin", NetworkNamespace::open("blue"));
    const auto anonymous = NetworkNamespace::create();
    const Sleeper inside(blue);
    const Sleeper elsewhere(anonymous);
    const auto all = known_namespaces();
    const auto find = [&](const NetworkNamespace& space) {
      const auto found = std::ranges::find(all, space.identity(), &KnownNamespace::identity);
      return found == all.end() ? KnownNamespace() : *found;
    };
    EXPECT_THAT(find(blue).names, ElementsAre("blue"));
    EXPECT_THAT(find(blue).pins, ElementsAre("/run/a folder/pin"));
    EXPECT_THAT(find(blue).processes, ElementsAre(inside.pid()));
    EXPECT_EQ(find(blue).specification(), "blue");
    EXPECT_THAT(find(NetworkNamespace::open("red")).names, ElementsAre("link", "red"));
    EXPECT_THAT(find(anonymous).names, IsEmpty());
    EXPECT_EQ(find(anonymous).specification(), "pid:" + std::to_string(elsewhere.pid()));
    EXPECT_EQ(std::ranges::count(all, blue.identity(), &KnownNamespace::identity), 1);
  });
}

TEST(KnownNamespaces, one_that_is_only_pinned_is_found_by_its_file) {
  with_own_run([] {
    const auto pin = PinnedNamespace::at("/run/pin", NetworkNamespace::create());
    const auto all = known_namespaces();
    const auto found = std::ranges::find(all, pin.space().identity(), &KnownNamespace::identity);
    ASSERT_NE(found, all.end());
    EXPECT_EQ(found->specification(), "/run/pin");
  });
}

TEST(KnownNamespaces, numbers_that_can_be_processes) {
  EXPECT_EQ(pid_from("1"), 1);
  EXPECT_EQ(pid_from("4194304"), 4194304);
  for (const char* word : {"", "0", "-1", "01", "1x", "x", " 1", "99999999999"}) EXPECT_FALSE(pid_from(word)) << word;
}

}  // namespace
}  // namespace culvert
