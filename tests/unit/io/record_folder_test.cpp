// Files that processes leave for each other. (What only its users need is tested by theirs:
// unit/quick/journal_test.cpp.)
#include "culvert/io/record_folder.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>

#include <fstream>

#include "support/temporary_directory.hpp"

namespace culvert {
namespace {

using test::TemporaryDirectory;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class RecordFolderTest : public ::testing::Test {
 protected:
  TemporaryDirectory directory_;
  RecordFolder folder_{directory_.file("records")};
};

TEST_F(RecordFolderTest, gives_back_what_was_written) {
  EXPECT_EQ(folder_.read("a"), std::nullopt);
  folder_.write("a", "one\n");
  folder_.write("a", "another\n");
  EXPECT_EQ(folder_.read("a"), "another\n");
  folder_.remove("a");
  EXPECT_EQ(folder_.read("a"), std::nullopt);
}

TEST_F(RecordFolderTest, knows_the_names_of_its_records) {
  EXPECT_THAT(folder_.names(), IsEmpty());
  folder_.write("a", "");
  folder_.write("b.1", "");
  std::ofstream(folder_.path_of("c", ".log")) << "no record";
  EXPECT_THAT(folder_.names(), UnorderedElementsAre("a", "b.1"));
}

TEST_F(RecordFolderTest, is_not_waited_for_longer_than_asked) {
  {
    const auto held = folder_.try_lock_for(0);
    ASSERT_TRUE(held);
    EXPECT_FALSE(folder_.try_lock_for(0));
    EXPECT_FALSE(folder_.try_lock_for(50));
  }
  EXPECT_TRUE(folder_.try_lock_for(0));
}

TEST(ReadAll, gives_up_on_a_file_that_is_too_large) {
  const TemporaryDirectory directory;
  std::ofstream(directory.file("a")) << "12345";
  const auto open = [&] { return UniqueFd(::open(directory.file("a").c_str(), O_RDONLY | O_CLOEXEC)); };
  EXPECT_EQ(read_all(open(), 5), "12345");
  EXPECT_EQ(read_all(open(), 4), std::nullopt);
}

}  // namespace
}  // namespace culvert
