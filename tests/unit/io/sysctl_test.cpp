// Settings under /proc/sys of a network of the test's own.
#include "culvert/io/sysctl.hpp"

#include <gmock/gmock.h>

#include <system_error>

#include "support/expect_system_error.hpp"
#include "support/own_namespace.hpp"

namespace culvert {
namespace {

using test::expect_system_error;
using test::in_own_namespace;
using test::output_of;
using ::testing::HasSubstr;

TEST(Sysctl, reads_and_writes_the_settings_of_the_threads_namespace) {
  in_own_namespace([] {
    EXPECT_EQ(read_sysctl(src_valid_mark), "0");
    write_sysctl(src_valid_mark, "1");
    EXPECT_EQ(read_sysctl(src_valid_mark), "1");
    EXPECT_EQ(output_of("cat /proc/sys/net/ipv4/conf/all/src_valid_mark"), "1\n");
  });
}

TEST(Sysctl, names_what_cannot_be_read_or_set) {
  in_own_namespace([] {
    expect_system_error([] { (void)read_sysctl("net/nothing"); }, std::errc::no_such_file_or_directory,
                        HasSubstr("/proc/sys/net/nothing"));
    expect_system_error([] { write_sysctl("net/nothing", "1"); }, std::errc::no_such_file_or_directory,
                        HasSubstr("/proc/sys/net/nothing to 1"));
    expect_system_error([] { write_sysctl(src_valid_mark, "x"); }, std::errc::invalid_argument, HasSubstr("to x"));
  });
}

TEST(Sysctl, tells_whether_a_device_or_one_to_come_has_ipv6) {
  in_own_namespace([] {
    EXPECT_TRUE(has_ipv6("lo"));
    EXPECT_TRUE(has_ipv6("to-come"));
    output_of("echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6");
    EXPECT_FALSE(has_ipv6("to-come"));
    EXPECT_TRUE(has_ipv6("lo"));
    output_of("echo 1 > /proc/sys/net/ipv6/conf/lo/disable_ipv6");
    EXPECT_FALSE(has_ipv6("lo"));
  });
}

}  // namespace
}  // namespace culvert
