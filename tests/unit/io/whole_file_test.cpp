// Whole or not at all. (A disk that is full is in lab/topology_test.py.)
#include "culvert/io/whole_file.hpp"

#include <gmock/gmock.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <fstream>
#include <iterator>
#include <system_error>
#include <vector>

#include "support/temporary_directory.hpp"

namespace culvert {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class WholeFileTest : public ::testing::Test {
 protected:
  static std::string text_of(const std::string& path) {
    std::ifstream file(path);
    return {std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  }
  static void put(const std::string& path, const std::string& text) { std::ofstream(path) << text; }
  [[nodiscard]] std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& entry : std::filesystem::directory_iterator(folder_.path())) {
      names.push_back(entry.path().filename().string());
    }
    return names;
  }

  test::TemporaryDirectory folder_;
  std::string path_ = folder_.file("report.html");
};

TEST_F(WholeFileTest, is_not_there_before_it_is_written) {
  WholeFile file(path_, "writing the report");
  EXPECT_THAT(names(), IsEmpty());
  file.write("all of it");
  EXPECT_THAT(names(), ElementsAre("report.html"));
  EXPECT_EQ(text_of(path_), "all of it");
}

TEST_F(WholeFileTest, takes_the_place_and_the_permissions_of_what_was_there) {
  put(path_, "something longer than what comes");
  ASSERT_EQ(::chmod(path_.c_str(), 0604), 0);
  WholeFile file(path_, "writing the report");
  EXPECT_EQ(text_of(path_), "something longer than what comes");
  file.write("new");
  EXPECT_EQ(text_of(path_), "new");
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0604U);
}

TEST_F(WholeFileTest, has_the_usual_permissions_when_it_is_new) {
  const mode_t mask = ::umask(027);
  WholeFile(path_, "writing the report").write("");
  ::umask(mask);
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0640U);
}

TEST_F(WholeFileTest, lies_where_a_link_leads) {
  put(path_, "old");
  const std::string link = folder_.file("link");
  std::filesystem::create_symlink("report.html", link);
  WholeFile(link, "writing the report").write("new");
  EXPECT_TRUE(std::filesystem::is_symlink(link));
  EXPECT_EQ(text_of(path_), "new");
}

TEST_F(WholeFileTest, is_refused_early_in_a_folder_that_is_not_there) {
  try {
    const WholeFile file(folder_.file("none/report.html"), "writing the report");
    FAIL() << "was taken";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::no_such_file_or_directory);
    EXPECT_THAT(error.what(), HasSubstr("writing the report to " + folder_.file("none/report.html")));
  }
}

TEST_F(WholeFileTest, is_no_folder) {
  EXPECT_THROW(WholeFile(folder_.path(), "writing the report"), std::system_error);
}

TEST_F(WholeFileTest, leaves_what_was_there_when_there_is_no_room) {
  put(path_, "old");
  WholeFile file(path_, "writing the report");
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_FSIZE, &before), 0);
  const auto handler = ::signal(SIGXFSZ, SIG_IGN);
  rlimit narrow = before;
  narrow.rlim_cur = 4096;
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &narrow), 0);
  EXPECT_THROW(file.write(std::string(5000, 'x')), std::system_error);
  ASSERT_EQ(::setrlimit(RLIMIT_FSIZE, &before), 0);
  ::signal(SIGXFSZ, handler);
  EXPECT_EQ(text_of(path_), "old");
  EXPECT_THAT(names(), ElementsAre("report.html"));
}

TEST_F(WholeFileTest, is_written_to_when_it_is_no_regular_file) {
  WholeFile("/dev/null", "writing the report").write("text");
  try {
    WholeFile("/dev/full", "writing the report").write("text");
    FAIL() << "was taken";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::no_space_on_device);
  }
  EXPECT_TRUE(std::filesystem::is_character_file("/dev/full"));
}

}  // namespace
}  // namespace culvert
