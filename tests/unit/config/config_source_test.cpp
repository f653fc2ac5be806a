// Files, pipes and names of devices.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>
#include <system_error>

#include "culvert/config/config_file.hpp"

namespace culvert {
namespace {

/// A directory that goes with its contents.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string name = testing::TempDir() + "culvert-config-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) throw std::system_error(errno, std::generic_category(), name);
    path_ = name;
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  [[nodiscard]] std::string path() const { return path_; }
  std::string write(const std::string& name, std::string_view text) const {
    const std::string file = path_ + '/' + name;
    std::ofstream(file, std::ios::binary) << text;
    return file;
  }

 private:
  std::string path_;
};

constexpr std::string_view minimal =
    "[Interface]\nPrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\nListenPort = 51820\n";

TEST(ReadConfigFile, parses_what_the_file_holds) {
  const TemporaryDirectory directory;
  const std::string file = directory.write("wg0.conf", minimal);
  const Config config = read_config_file(file);
  EXPECT_EQ(config.listen_port, 51820);
  EXPECT_EQ(config.path, file);
}

TEST(ReadConfigFile, reads_files_of_many_pieces) {
  const TemporaryDirectory directory;
  const std::string text = '#' + std::string(config_size_max - minimal.size() - 2, 'x') + '\n' + std::string(minimal);
  ASSERT_EQ(text.size(), config_size_max);
  EXPECT_EQ(read_config_file(directory.write("wg0.conf", text)).listen_port, 51820);
}

TEST(ReadConfigFile, reads_from_a_pipe) {
  std::array<int, 2> ends;
  ASSERT_EQ(::pipe2(ends.data(), O_CLOEXEC), 0);
  ASSERT_EQ(::write(ends[1], minimal.data(), minimal.size()), static_cast<ssize_t>(minimal.size()));
  ::close(ends[1]);
  EXPECT_EQ(read_config_file("/proc/self/fd/" + std::to_string(ends[0])).listen_port, 51820);
  ::close(ends[0]);
}

TEST(ReadConfigFile, refuses_a_file_larger_than_the_limit) {
  const TemporaryDirectory directory;
  const std::string file = directory.write("wg0.conf", minimal);
  std::filesystem::resize_file(file, config_size_max + 1);
  try {
    (void)read_config_file(file);
    FAIL() << "no error";
  } catch (const ConfigError& error) {
    EXPECT_EQ(error.line(), 0U);
    EXPECT_EQ(error.column(), 0U);
    EXPECT_EQ(error.what(), file + ": the file is larger than 16 MiB");
  }
}

TEST(ReadConfigFile, says_which_file_cannot_be_read_and_why) {
  const TemporaryDirectory directory;
  const auto code_of = [](const std::string& path) {
    try {
      (void)read_config_file(path);
    } catch (const std::system_error& error) {
      EXPECT_NE(std::string_view(error.what()).find(path), std::string_view::npos);
      return error.code();
    }
    return std::error_code();
  };
  EXPECT_EQ(code_of(directory.path() + "/none.conf"), std::errc::no_such_file_or_directory);
  EXPECT_EQ(code_of(directory.path()), std::errc::is_a_directory);
}

TEST(ReadConfigFile, escapes_the_name_of_a_file_that_cannot_be_read) {
  try {
    (void)read_config_file("/none/\x1b[31m.conf");
    FAIL() << "no error";
  } catch (const std::system_error& error) {
    EXPECT_NE(std::string_view(error.what()).find("/none/\\x1b[31m.conf"), std::string_view::npos);
  }
}

TEST(ReadConfigFile, leaves_no_descriptor_open) {
  const TemporaryDirectory directory;
  const std::string file = directory.write("wg0.conf", "nonsense");
  const int before = ::dup(0);
  ::close(before);
  EXPECT_THROW((void)read_config_file(file), ConfigError);
  const int after = ::dup(0);
  ::close(after);
  EXPECT_EQ(after, before);
}

TEST(DeviceNameOf, is_the_base_name_without_conf) {
  EXPECT_EQ(device_name_of("/etc/culvert/wg0.conf"), "wg0");
  EXPECT_EQ(device_name_of("wg0.conf"), "wg0");
  EXPECT_EQ(device_name_of("./wg0"), "wg0");
  EXPECT_EQ(device_name_of("a/b.c/Az09_=+.-.conf"), "Az09_=+.-");
  EXPECT_EQ(device_name_of("abcdefghijklmno.conf"), "abcdefghijklmno");
}

TEST(DeviceNameOf, refuses_what_cannot_be_an_interface) {
  for (const std::string path : {"abcdefghijklmnop.conf", "/etc/culvert/.conf", "/etc/culvert/", "", "a b.conf",
                                 "ä.conf", "a%d.conf", "a:b.conf", "a;b.conf", "..conf", "...conf", "/tmp/..", "."}) {
    SCOPED_TRACE(path);
    try {
      (void)device_name_of(path);
      ADD_FAILURE() << "no error";
    } catch (const ConfigError& error) {
      EXPECT_EQ(error.line(), 0U);
      EXPECT_EQ(error.column(), 0U);
      EXPECT_NE(std::string_view(error.what()).find("expected 1 to 15 letters"), std::string_view::npos);
    }
  }
}

TEST(ConfigPathOf, takes_paths_and_conf_files_as_they_are) {
  EXPECT_EQ(config_path_of("./wg0"), "./wg0");
  EXPECT_EQ(config_path_of("/a/b"), "/a/b");
  EXPECT_EQ(config_path_of("wg0.conf"), "wg0.conf");
}

TEST(ConfigPathOf, looks_for_names_in_one_folder_after_the_other) {
  const TemporaryDirectory first, second;
  const std::string first_path = first.path(), second_path = second.path();
  const std::array<std::string_view, 2> folders{first_path, second_path};
  EXPECT_EQ(config_path_of("wg0", folders), first_path + "/wg0.conf");
  const std::string in_second = second.write("wg0.conf", minimal);
  EXPECT_EQ(config_path_of("wg0", folders), in_second);
  const std::string in_first = first.write("wg0.conf", minimal);
  EXPECT_EQ(config_path_of("wg0", folders), in_first);
}

TEST(ConfigPathOf, prefers_our_own_folder_to_that_of_wireguard) {
  EXPECT_EQ(config_folders, (std::array<std::string_view, 2>{"/etc/culvert", "/etc/wireguard"}));
  EXPECT_EQ(config_path_of("no-such-device"), "/etc/culvert/no-such-device.conf");
}

}  // namespace
}  // namespace culvert
