// Journals as text, as files, and as something to act on.
#include "culvert/quick/journal.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fstream>

#include "culvert/quick/setup.hpp"
#include "support/captured_log.hpp"
#include "support/own_namespace.hpp"
#include "support/temporary_directory.hpp"

namespace culvert {
namespace {

using test::CapturedLog;
using test::in_own_namespace;
using test::TemporaryDirectory;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr RoutingRule a_rule{
    .family = Family::V6, .priority = 7, .table = 51820, .unless_mark = 5, .suppress_prefix_length = {}};
constexpr RoutingRule another_rule{
    .family = Family::V4, .priority = 7, .table = 254, .unless_mark = {}, .suppress_prefix_length = 0};

std::vector<Undo> one_of_each() {
  return {RunHooks{"PreDown", {"a\tb", "c\\d", "e\nf", ""}},
          RunHooks{"PostDown", {}},
          RemoveStaleSocket{"/run/wireguard/a.sock"},
          RemoveFromResolvconf{"tun.wg0"},
          RevertResolved{"wg0"},
          RemoveRule{a_rule},
          RemoveRule{another_rule},
          RemoveFirewall{Family::V4, "wg0"},
          RemoveFirewall{Family::V6, "wg=0"},
          RestoreSourceValidMark{"0"},
          RestoreSourceValidMark{"1"},
          RemoveBridge{"br0", MacAddress(0x02005e100001)},
          RemoveBridge{"br0", MacAddress()},
          ReleaseBridgePort{"eth1", "br0", true},
          ReleaseBridgePort{"eth1", "br0", false},
          RemoveNamespace{"blue \t sky", {4, 4026532001}}};
}

JournalEntries some_entries() {
  return {.name = "wg0",
          .owner = ProcessIdentity::self(),
          .where = NetworkNamespace::current().identity(),
          .where_name = "a\tname",
          .table = 51820,
          .undos = one_of_each(),
          .failures = {"one\nof", "two"}};
}

TEST(UndoLine, comes_back_as_what_it_was) {
  for (const Undo& undo : one_of_each()) {
    const std::string line = to_line(undo);
    EXPECT_EQ(line.find('\n'), std::string::npos) << line;
    EXPECT_EQ(undo_from_line(line), undo) << line;
  }
}

TEST(UndoLine, that_is_none_of_ours_is_refused) {
  for (const char* line : {"",
                           "unknown",
                           "hooks",
                           "hooks\tPostUp\tx",
                           "socket",
                           "socket\trelative",
                           "socket\t/a\tb",
                           "resolvconf",
                           "resolvconf\ta\tb",
                           "resolved",
                           "resolved\ta b",
                           "resolved\t../x",
                           "rule\t4\t1\t2\t-",
                           "rule\t5\t1\t2\t-\t-",
                           "rule\t4\tx\t2\t-\t-",
                           "rule\t4\t1\t\t-\t-",
                           "rule\t4\t1\t2\tx\t-",
                           "rule\t4\t1\t2\t-\t4294967296",
                           "rule\t4\t1\t2\t-\t-\t-",
                           "firewall\t4",
                           "firewall\t5\twg0",
                           "firewall\t4\ta;b",
                           "firewall\t4\twg0\tx",
                           "src_valid_mark",
                           "src_valid_mark\t2",
                           "src_valid_mark\t0\t0",
                           "bridge\tbr0",
                           "bridge\ta b\t0",
                           "bridge\tbr0\tx",
                           "bridge_port\teth1\tbr0",
                           "bridge_port\teth1\tbr0\tover",
                           "bridge_port\ta b\tbr0\tup",
                           "bridge_port\teth1\t\tup",
                           "socket\t/a\\",
                           "socket\t/a\\x"}) {
    EXPECT_EQ(undo_from_line(line), std::nullopt) << line;
  }
}

TEST(JournalText, comes_back_as_what_it_was) {
  const JournalEntries entries = some_entries();
  const auto read = journal_from_text("wg0", to_text(entries));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->name, "wg0");
  EXPECT_EQ(read->owner, entries.owner);
  EXPECT_EQ(read->where, entries.where);
  EXPECT_EQ(read->where_name, entries.where_name);
  EXPECT_EQ(read->table, entries.table);
  EXPECT_EQ(read->undos, entries.undos);
  EXPECT_EQ(read->failures, entries.failures);
}

TEST(JournalText, that_is_none_is_refused) {
  const std::string good = "culvert journal 1\nowner\t1\t2\nnamespace\t4\t5\t\n";
  ASSERT_TRUE(journal_from_text("wg0", good));
  for (const std::string& text :
       {std::string(), std::string("culvert journal 2\nowner\t1\t2\nnamespace\t4\t5\t\n"), good + "x\n", good + "\n",
        good + "table\tx\n", good + "table\n", good + "failed\n", good + "src_valid_mark\t0", good + "owner\t0\t2\n",
        good + "owner\t-1\t2\n", good + "owner\t1\n", good + "owner\t1\tx\n", good + "namespace\tx\t5\t\n",
        good + "namespace\t4\tx\t\n", good + "namespace\t4\t5\n", std::string("culvert journal 1\nowner\t1\t2\n"),
        std::string("culvert journal 1\nnamespace\t4\t5\t\n")}) {
    EXPECT_FALSE(journal_from_text("wg0", text)) << text;
  }
}

class JournalFolderTest : public ::testing::Test {
 protected:
  TemporaryDirectory directory_;
  std::string path_ = directory_.file("journals");
};

TEST_F(JournalFolderTest, is_made_for_us_alone) {
  const JournalFolder folder(path_);
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0700u);
  folder.write(some_entries());
  ASSERT_EQ(::stat(folder.path_of("wg0").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 0777, 0600u);
}

TEST_F(JournalFolderTest, that_others_can_write_to_is_refused) {
  ASSERT_EQ(::mkdir(path_.c_str(), 0700), 0);
  for (const mode_t mode : {0720u, 0702u}) {
    ::chmod(path_.c_str(), mode);
    EXPECT_THROW(JournalFolder{path_}, std::runtime_error) << mode;
  }
  ::chmod(path_.c_str(), 0700);
  const std::string link = directory_.file("link");
  ASSERT_EQ(::symlink(path_.c_str(), link.c_str()), 0);
  EXPECT_THROW(JournalFolder{link}, std::runtime_error);
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(path_.c_str(), 1, 1), 0);
    EXPECT_THROW(JournalFolder{path_}, std::runtime_error);
  }
}

TEST_F(JournalFolderTest, has_no_journal_before_one_is_written_and_after_it_is_removed) {
  const JournalFolder folder(path_);
  EXPECT_FALSE(folder.read("wg0"));
  folder.write(some_entries());
  EXPECT_TRUE(folder.read("wg0"));
  EXPECT_FALSE(folder.read("wg1"));
  folder.remove("wg0");
  EXPECT_FALSE(folder.read("wg0"));
  EXPECT_NO_THROW(folder.remove("wg0"));
}

TEST_F(JournalFolderTest, replaces_a_journal_whole_and_passes_over_what_a_killed_writer_left) {
  const JournalFolder folder(path_);
  std::ofstream(folder.path_of("wg0", ".new")) << "half";
  folder.write(some_entries());
  JournalEntries fewer = some_entries();
  fewer.undos.clear();
  folder.write(fewer);
  EXPECT_THAT(folder.read("wg0")->undos, IsEmpty());
  EXPECT_NE(::access(folder.path_of("wg0", ".new").c_str(), F_OK), 0);
}

TEST_F(JournalFolderTest, trusts_no_journal_that_others_may_have_written) {
  const JournalFolder folder(path_);
  folder.write(some_entries());
  const std::string path = folder.path_of("wg0");
  for (const mode_t mode : {0620u, 0602u}) {
    ::chmod(path.c_str(), mode);
    EXPECT_THROW((void)folder.read("wg0"), std::runtime_error) << mode;
  }
  ::chmod(path.c_str(), 0600);
  if (::geteuid() == 0) {
    ASSERT_EQ(::chown(path.c_str(), 1, 1), 0);
    EXPECT_THROW((void)folder.read("wg0"), std::runtime_error);
    ASSERT_EQ(::chown(path.c_str(), 0, 0), 0);
  }
  ASSERT_EQ(::symlink(path.c_str(), folder.path_of("wg1").c_str()), 0);
  EXPECT_THROW((void)folder.read("wg1"), std::runtime_error);
  ASSERT_EQ(::mkfifo(folder.path_of("wg2").c_str(), 0600), 0);
  EXPECT_THROW((void)folder.read("wg2"), std::runtime_error);
}

TEST_F(JournalFolderTest, refuses_a_journal_that_makes_no_sense_or_is_huge) {
  const JournalFolder folder(path_);
  folder.write(some_entries());
  std::ofstream(folder.path_of("wg0")) << "nonsense\n";
  EXPECT_THROW((void)folder.read("wg0"), std::runtime_error);
  JournalEntries huge = some_entries();
  huge.failures.assign(1, std::string(1 << 20, 'x'));
  folder.write(huge);
  EXPECT_THROW((void)folder.read("wg0"), std::runtime_error);
}

TEST_F(JournalFolderTest, knows_the_journals_of_others) {
  const JournalFolder folder(path_);
  JournalEntries entries = some_entries();
  for (const char* name : {"wg0", "wg1"}) {
    entries.name = name;
    folder.write(entries);
  }
  std::ofstream(folder.path_of("wg3", ".log")) << "a log";
  std::ofstream(folder.path_of("wg4")) << "nonsense\n";
  const CapturedLog log;
  const auto others = folder.others("wg0");
  ASSERT_EQ(others.size(), 1u);
  EXPECT_EQ(others[0].name, "wg1");
  EXPECT_THAT(log.text(), HasSubstr("wg4.journal"));
}

TEST_F(JournalFolderTest, is_locked_by_one_at_a_time) {
  const JournalFolder folder(path_);
  std::optional<UniqueFd> lock(folder.lock());
  const UniqueFd second(::open((path_ + "/lock").c_str(), O_RDWR | O_CLOEXEC));
  EXPECT_NE(::flock(second.get(), LOCK_EX | LOCK_NB), 0);
  lock.reset();
  EXPECT_EQ(::flock(second.get(), LOCK_EX | LOCK_NB), 0);
}

TEST(UndoLeftovers, passes_over_the_network_of_a_namespace_that_is_gone) {
  in_own_namespace([] {
    const TemporaryDirectory directory;
    const JournalFolder folder(directory.file("journals"));
    JournalEntries entries = some_entries();
    entries.where.inode += 100000;
    entries.undos = {RunHooks{"PostDown", {"touch " + directory.file("mark")}}, RestoreSourceValidMark{"1"},
                     RemoveRule{a_rule}};
    folder.write(entries);
    EXPECT_TRUE(undo_leftovers(folder, entries));
    EXPECT_EQ(::access(directory.file("mark").c_str(), F_OK), 0);
    EXPECT_EQ(test::output_of("cat /proc/sys/net/ipv4/conf/all/src_valid_mark"), "0\n");
    EXPECT_FALSE(folder.read("wg0"));
  });
}

TEST(UndoLeftovers, finds_nothing_to_undo_no_error) {
  in_own_namespace([] {
    const TemporaryDirectory directory;
    const JournalFolder folder(directory.file("journals"));
    JournalEntries entries = some_entries();
    entries.undos = {RemoveStaleSocket{directory.file("none.sock")},
                     RemoveRule{a_rule},
                     RemoveRule{another_rule},
                     RemoveFirewall{Family::V4, "wg0"},
                     RemoveFirewall{Family::V6, "wg+0"},
                     RestoreSourceValidMark{"0"}};
    EXPECT_TRUE(undo_leftovers(folder, entries));
  });
}

TEST(UndoLeftovers, removes_the_socket_of_a_dead_process_and_not_that_of_a_living_one) {
  const TemporaryDirectory directory;
  ProgramRunner programs("wg0");
  const std::string path = directory.file("a.sock");
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  UniqueFd server(::socket(AF_UNIX, SOCK_STREAM, 0));
  ASSERT_EQ(::bind(server.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  ASSERT_EQ(::listen(server.get(), 5), 0);
  perform(RemoveStaleSocket{path}, programs);
  EXPECT_EQ(::access(path.c_str(), F_OK), 0);
  server.reset();
  perform(RemoveStaleSocket{path}, programs);
  EXPECT_NE(::access(path.c_str(), F_OK), 0);
}

}  // namespace
}  // namespace culvert
