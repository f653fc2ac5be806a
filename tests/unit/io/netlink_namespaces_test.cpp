// Links between namespaces, and the numbers by which namespaces know each other.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <net/if.h>

#include "culvert/io/netlink.hpp"
#include "culvert/io/unique_fd.hpp"
#include "support/expect_system_error.hpp"
#include "support/own_namespace.hpp"

namespace culvert {
namespace {

using test::expect_system_error;
using test::in_own_namespace;
using test::output_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

UniqueFd present() {
  return UniqueFd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
}

// Another namespace than the present one.
UniqueFd make_other() {
  UniqueFd other;
  std::thread([&] {
    EXPECT_EQ(::unshare(CLONE_NEWNET), 0) << std::strerror(errno);
    other = present();
  }).join();
  return other;
}

std::string output_in(const UniqueFd& space, const std::string& command) {
  std::string output;
  std::thread([&] {
    EXPECT_EQ(::setns(space.get(), CLONE_NEWNET), 0) << std::strerror(errno);
    output = output_of(command);
  }).join();
  return output;
}

TEST(NetlinkNamespaces, a_veth_pair_has_its_other_end_there_at_once) {
  in_own_namespace([] {
    const UniqueFd other = make_other();
    output_in(other, "ip link add filler type bridge");
    Netlink netlink;
    netlink.add_veth({.name = "near", .peer_name = "far", .peer_namespace = other.get(), .mtu = 1400});
    const auto near = netlink.find_interface("near");
    ASSERT_TRUE(near);
    EXPECT_EQ(near->mtu, 1400U);
    ASSERT_TRUE(near->other_namespace);
    EXPECT_EQ(near->other_namespace, netlink.namespace_number(other.get()));
    const std::string there = output_in(other, "ip -o link show far");
    EXPECT_THAT(there, HasSubstr(std::to_string(near->other) + ": far@"));
    EXPECT_THAT(there, HasSubstr("mtu 1400"));
    EXPECT_EQ(netlink.name_of_link_in(*near->other_namespace, near->other), "far");
    EXPECT_FALSE(netlink.name_of_link_in(*near->other_namespace, 4711));
    EXPECT_FALSE(netlink.name_of_link_in(4711, near->other));
    netlink.add_veth({.name = "one", .peer_name = "two", .peer_namespace = -1, .mtu = {}});
    EXPECT_NE(::if_nametoindex("two"), 0U);
    expect_system_error(
        [&] { netlink.add_veth({.name = "one", .peer_name = "three", .peer_namespace = -1, .mtu = {}}); },
        std::errc::file_exists, HasSubstr("one and three"));
  });
}

TEST(NetlinkNamespaces, a_link_is_moved_and_renamed_in_one_step) {
  in_own_namespace([] {
    const UniqueFd other = make_other();
    output_of("ip link add v0 type veth peer name v1 && ip address add 10.0.0.1/24 dev v0 && ip link set v0 up");
    Netlink netlink;
    netlink.move_link(::if_nametoindex("v0"), other.get(), "there");
    EXPECT_EQ(::if_nametoindex("v0"), 0U);
    const std::string there = output_in(other, "ip address show there");
    EXPECT_THAT(there, ::testing::Not(HasSubstr("10.0.0.1")));
    EXPECT_THAT(there, ::testing::Not(HasSubstr(",UP")));
    netlink.move_link(::if_nametoindex("v1"), other.get());
    EXPECT_THAT(output_in(other, "ip link"), HasSubstr("v1@there"));
    expect_system_error([&] { netlink.move_link(4711, other.get()); }, std::errc::no_such_device, HasSubstr("4711"));
  });
}

TEST(NetlinkNamespaces, have_numbers_of_which_each_is_given_once) {
  in_own_namespace([] {
    const UniqueFd other = make_other();
    const UniqueFd third = make_other();
    Netlink netlink;
    EXPECT_THAT(netlink.namespace_numbers(), ElementsAre());
    EXPECT_FALSE(netlink.namespace_number(other.get()));
    netlink.set_namespace_number(other.get(), 7);
    EXPECT_EQ(netlink.namespace_number(other.get()), 7);
    expect_system_error([&] { netlink.set_namespace_number(third.get(), 7); }, std::errc::file_exists,
                        HasSubstr("the number 7"));
    expect_system_error([&] { netlink.set_namespace_number(other.get(), 8); }, std::errc::file_exists,
                        HasSubstr("the number 8"));
    netlink.set_namespace_number(third.get(), std::nullopt);
    EXPECT_EQ(netlink.namespace_number(third.get()), 0);
    EXPECT_THAT(netlink.namespace_numbers(), ::testing::UnorderedElementsAre(0, 7));
  });
}

}  // namespace
}  // namespace culvert
