// Journals of sandboxes as text and as files.
#include "culvert/sandbox/journal.hpp"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>

#include "support/temporary_directory.hpp"

namespace culvert {
namespace {

using test::TemporaryDirectory;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

SandboxJournal some_journal() {
  return {.owner = {42, 4711},
          .process_space = 5,
          .where = {1, 2},
          .link = {7, "sandbox3"},
          .settings = {{"net/ipv4/ip_forward", "0"}, {"net/ipv6/conf/a..b.5/forwarding", "1"}},
          .bridge = MadeBridge{"br0", MacAddress(0x02005e100001)}};
}

std::string with(const std::string& line) {
  return to_text(some_journal()) + line + "\n";
}

TEST(SandboxJournal, says_the_same_when_it_is_read) {
  EXPECT_EQ(sandbox_journal_from_text(to_text(some_journal())), some_journal());
  SandboxJournal small = some_journal();
  small.settings.clear();
  small.bridge.reset();
  EXPECT_EQ(sandbox_journal_from_text(to_text(small)), small);
}

TEST(SandboxJournal, is_refused_when_it_makes_no_sense) {
  ASSERT_TRUE(sandbox_journal_from_text(with("setting\tnet/ipv4/conf/all/accept_redirects\t1")));
  for (const char* line : {"",
                           "nonsense",
                           "owner\t0\t1",
                           "processes\t0",
                           "processes",
                           "owner\t1",
                           "namespace\t1\tx",
                           "namespace\t1",
                           "link\t7\t",
                           "link\t7\ta/b",
                           "link",
                           "link\t0\ta",
                           "link\tx\ta",
                           "link\t7\ta-name-that-is-too-long",
                           "setting\tkernel/core_pattern\t1",
                           "setting\tnet/ipv4/ip_forward\t2",
                           "setting\tnet/ipv4/conf/../../../kernel/x/forwarding\t1",
                           "bridge\tbr0\tx",
                           "bridge\t\t1",
                           "bridge\tbr0"}) {
    EXPECT_FALSE(sandbox_journal_from_text(with(line))) << line;
  }
  for (const char* missing : {"owner", "processes", "namespace", "link"}) {
    std::string text = to_text(some_journal());
    const std::size_t at = text.find(missing);
    text.erase(at, text.find('\n', at) - at + 1);
    EXPECT_FALSE(sandbox_journal_from_text(text)) << missing;
  }
}

TEST(SandboxJournals, know_those_of_others) {
  const TemporaryDirectory directory;
  const SandboxJournals journals(directory.file("run") + "/sandbox");
  SandboxJournal other = some_journal();
  other.owner = {43, 1};
  journals.write(some_journal());
  journals.write(other);
  EXPECT_THAT(journals.others(some_journal(), {}), ElementsAre(other));
  journals.remove(other);
  journals.remove(other);
  EXPECT_THAT(journals.others(some_journal(), {}), IsEmpty());
  other = some_journal();
  other.process_space = 6;
  EXPECT_THAT(journals.others(other, {}), ElementsAre(some_journal()));
}

TEST(SandboxJournals, say_which_are_not_to_be_read_and_go_on) {
  const TemporaryDirectory directory;
  const std::string folder = directory.file("run") + "/sandbox";
  const SandboxJournals journals(folder);
  journals.write(some_journal());
  std::ofstream(folder + "/7-7.journal") << "damaged\n";
  // One process's record under another's name would be undone while that one lives.
  std::ofstream(folder + "/8-8.journal") << to_text(some_journal());
  std::ofstream(folder + "/9-9.journal") << to_text(some_journal());
  std::filesystem::permissions(folder + "/9-9.journal", std::filesystem::perms::others_write,
                               std::filesystem::perm_options::add);
  std::string said;
  EXPECT_THAT(journals.others({}, [&](const std::string& text) { said += text; }), ElementsAre(some_journal()));
  for (const char* name : {"7-7.journal", "8-8.journal", "9-9.journal"}) EXPECT_THAT(said, HasSubstr(name));
}

}  // namespace
}  // namespace culvert
