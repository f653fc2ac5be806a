// What others have written about a NIC, in files that the test writes.
#include "culvert/bridge/surroundings.hpp"

#include <gmock/gmock.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "support/temporary_directory.hpp"

namespace culvert {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class SurroundingsTest : public ::testing::Test {
 protected:
  void write(const std::string& file, const std::string& text) {
    const std::filesystem::path path = directory_.file(file);
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
  }
  Surroundings look() { return look_around({7, "eth0"}, "br0", files_); }
  std::string manager() {
    const auto found = look().manager;
    return found ? found->name + ": " + found->advice : "none";
  }

  test::TemporaryDirectory directory_;
  SurroundingsFiles files_{.interfaces = directory_.file("sys"),
                           .network_manager = directory_.file("nm"),
                           .networkd = directory_.file("networkd"),
                           .run = directory_.path(),
                           .machine_vendor = directory_.file("vendor"),
                           .bridge_filter = directory_.file("filter"),
                           .address_settings = directory_.file("conf"),
                           .first_namespace = "/proc/self/ns/net"};
};

TEST_F(SurroundingsTest, are_quiet_where_there_are_no_files) {
  const Surroundings found = look();
  EXPECT_FALSE(found.is_wifi || found.manager || found.filters_bridged_frames || found.is_reverse_path_strict ||
               found.hypervisor);
}

TEST_F(SurroundingsTest, b10_tell_wifi_by_its_physical_device_in_this_namespace) {
  write("sys/eth0/phy80211/name", "phy0");
  write("sys/eth0/ifindex", "7\n");
  EXPECT_TRUE(look().is_wifi);
  write("sys/eth0/ifindex", "8\n");
  EXPECT_FALSE(look().is_wifi) << "that is another one, in the namespace of the files";
}

TEST_F(SurroundingsTest, know_a_nic_that_network_manager_manages) {
  write("nm/7", "[device]\nmanaged=true\n");
  EXPECT_THAT(manager(), AllOf(HasSubstr("NetworkManager"), HasSubstr("ifname br0"), HasSubstr("ifname eth0")));
  write("nm/7", "[device]\nmanaged=false\n");
  EXPECT_EQ(manager(), "none");
  write("nm/8", "[device]\nmanaged=true\n");
  EXPECT_EQ(manager(), "none");
}

TEST_F(SurroundingsTest, know_a_nic_that_networkd_manages) {
  for (const char* state : {"configured", "configuring", "failed", "linger"}) {
    write("networkd/7", std::string("# a comment\nADMIN_STATE=") + state + "\nOPER_STATE=routable\n");
    EXPECT_THAT(manager(), AllOf(HasSubstr("systemd-networkd"), HasSubstr("Bridge=br0"))) << state;
  }
  for (const char* state : {"unmanaged", "pending", "initialized"}) {
    write("networkd/7", std::string("ADMIN_STATE=") + state + "\n");
    EXPECT_EQ(manager(), "none") << state;
  }
}

TEST_F(SurroundingsTest, know_a_dhcp_client_as_long_as_it_lives) {
  const pid_t child = ::fork();
  if (child == 0) ::_exit(0);
  ::waitpid(child, nullptr, 0);
  for (const auto& [file, name] : {std::pair{"dhclient.eth0.pid", "dhclient"},
                                   {"dhclient-eth0.pid", "dhclient"},
                                   {"dhcpcd/eth0.pid", "dhcpcd"},
                                   {"dhcpcd-eth0.pid", "dhcpcd"},
                                   {"udhcpc.eth0.pid", "udhcpc"}}) {
    write(file, std::to_string(::getpid()) + "\n");
    EXPECT_THAT(manager(), AllOf(HasSubstr(name), HasSubstr("iface br0"), HasSubstr("bridge_ports eth0"))) << file;
    write(file, std::to_string(child) + "\n");
    EXPECT_EQ(manager(), "none") << file;
  }
}

TEST_F(SurroundingsTest, have_no_managers_in_a_network_namespace_other_than_theirs) {
  write("nm/7", "[device]\nmanaged=true\n");
  files_.first_namespace = "/proc/self/ns/mnt";
  EXPECT_EQ(manager(), "none");
}

TEST_F(SurroundingsTest, know_filters_and_hypervisors) {
  write("filter", "1\n");
  write("vendor", "Amazon EC2\n");
  EXPECT_TRUE(look().filters_bridged_frames);
  EXPECT_EQ(look().hypervisor, "Amazon EC2");
  write("filter", "0\n");
  write("vendor", "LENOVO\n");
  EXPECT_FALSE(look().filters_bridged_frames);
  EXPECT_FALSE(look().hypervisor);
}

TEST_F(SurroundingsTest, take_the_larger_of_two_reverse_path_filters) {
  for (const auto& [all, own, is_strict] :
       {std::tuple{"1", "0", true}, {"0", "1", true}, {"2", "1", false}, {"1", "2", false}, {"0", "0", false}}) {
    write("conf/all/rp_filter", all);
    write("conf/eth0/rp_filter", own);
    EXPECT_EQ(look().is_reverse_path_strict, is_strict) << all << own;
  }
}

}  // namespace
}  // namespace culvert
