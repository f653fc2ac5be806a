// Journals of NICs as text and files.
#include "culvert/bridge/journal.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <fstream>

#include "support/temporary_directory.hpp"

namespace culvert {
namespace {

BridgeJournal some_journal() {
  BridgeJournal journal;
  journal.state = BridgeJournal::State::Applied;
  journal.nic = {2, "eth0"};
  journal.bridge = {9, "br0"};
  journal.bridge_mac = MacAddress(0x02005e100001);
  journal.is_own_bridge = true;
  journal.taps = {{3, "tap0"}, {4, "tap\t1"}};
  journal.where = {5, 6};
  journal.applier = ProcessIdentity::self();
  journal.guardian = ProcessIdentity{77, 88};
  journal.deadline = Timestamp(std::chrono::seconds(1000));
  journal.before = {.taken = Timestamp(std::chrono::seconds(900)),
                    .mtu = 1500,
                    .mac = MacAddress(0x02005e100001),
                    .is_up = true,
                    .settings = {{"net/ipv6/conf/eth0/accept_ra", "1"}},
                    .objects = {}};
  NetworkObject rule;
  rule.kind = NetworkObject::Kind::Rule;
  rule.header.assign(12, std::byte{0xa5});
  rule.attributes = {{3, {std::byte{'e'}, std::byte{0}}}, {6, {}}};
  journal.before.objects.push_back(rule);
  return journal;
}

TEST(BridgeJournalText, comes_back_as_what_it_was) {
  const BridgeJournal journal = some_journal();
  EXPECT_EQ(bridge_journal_from_text(to_text(journal)), journal);
  BridgeJournal least = journal;
  least.state = BridgeJournal::State::Applying;
  least.bridge.index = 0;
  least.is_own_bridge = least.before.is_up = false;
  least.taps.clear();
  least.guardian.reset();
  least.deadline.reset();
  least.before.objects.clear();
  EXPECT_EQ(bridge_journal_from_text(to_text(least)), least);
}

TEST(BridgeJournalText, that_is_none_is_refused) {
  const std::string good = to_text(some_journal());
  for (const char* more : {"x\n",
                           "\n",
                           "state\tunknown\n",
                           "state\n",
                           "nic\tx\teth0\n",
                           "nic\t2\t\n",
                           "bridge\t9\tbr0\tx\town\n",
                           "bridge\t9\tbr0\t1\tother\n",
                           "tap\t1\n",
                           "namespace\t1\tx\n",
                           "applier\t0\t1\n",
                           "applier\t1\tx\n",
                           "guardian\t-1\t1\n",
                           "deadline\tx\n",
                           "before\t1\tx\t1\tup\n",
                           "before\t1\t1\t1\tover\n",
                           "before\t1\t1\t1\n",
                           "setting\t/etc/passwd\t1\n",
                           "rule\t00\n",
                           "rule\ta5\t3\n",
                           "address\tzz\n",
                           "route\t0\t1:00\n",
                           "deadline\t1"}) {
    EXPECT_FALSE(bridge_journal_from_text(good + more)) << more;
  }
  EXPECT_FALSE(bridge_journal_from_text(""));
  for (const char* needed : {"culvert bridge journal", "nic", "bridge", "namespace", "applier", "before"}) {
    std::string fewer = good;
    const std::size_t at = fewer.find(needed);
    fewer.erase(at, fewer.find('\n', at) + 1 - at);
    EXPECT_FALSE(bridge_journal_from_text(fewer)) << needed;
  }
}

TEST(BridgeJournalText, leads_to_no_file_of_another_nic) {
  const test::TemporaryDirectory directory;
  const BridgeJournals journals(directory.file("run") + "/bridge");
  EXPECT_FALSE(journals.read("eth0"));
  journals.write(some_journal());
  EXPECT_TRUE(journals.read("eth0"));
  std::ofstream(journals.records().path_of("eth1")) << to_text(some_journal());
  EXPECT_THROW((void)journals.read("eth1"), std::runtime_error);
  journals.remove("eth0");
  EXPECT_FALSE(journals.read("eth0"));
}

TEST(BridgeJournalWatch, is_kept_by_the_living) {
  BridgeJournal journal = some_journal();
  EXPECT_FALSE(journal.is_watched()) << "its guardian is dead";
  journal.guardian = ProcessIdentity::self();
  EXPECT_TRUE(journal.is_watched());
  journal.guardian.reset();
  journal.state = BridgeJournal::State::Applying;
  EXPECT_TRUE(journal.is_watched()) << "the applier lives";
  journal.applier.start_time += 1;
  EXPECT_FALSE(journal.is_watched());
  journal.state = BridgeJournal::State::Confirmed;
  EXPECT_TRUE(journal.is_watched()) << "there is nothing to watch for";
}

}  // namespace
}  // namespace culvert
