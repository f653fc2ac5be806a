// Links, addresses and routes, compared with what ip(8) sees.
#include "culvert/io/netlink.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <net/if.h>
#include <sys/socket.h>

#include <functional>

#include "culvert/io/link_monitor.hpp"
#include "culvert/io/policy_monitor.hpp"
#include "culvert/io/route_monitor.hpp"
#include "culvert/io/unique_fd.hpp"
#include "support/expect_system_error.hpp"
#include "support/own_namespace.hpp"
#include "support/restrictions.hpp"

namespace culvert {
namespace {

using test::expect_system_error;
using test::in_own_namespace;
using test::output_of;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsSupersetOf;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

constexpr std::uint32_t no_such_index = 4242;

Prefix prefix(const char* text) {
  return Prefix::parse(text).value();
}

// Runs `body` with a Netlink and the index of device "v0", which is down at first.
void with_device(const std::function<void(Netlink&, std::uint32_t)>& body) {
  in_own_namespace([&] {
    output_of("ip link add v0 type veth peer name v1");
    output_of("ip link set v0 addrgenmode none && ip link set v1 addrgenmode none up");
    Netlink netlink;
    body(netlink, ::if_nametoindex("v0"));
  });
}

TEST(Netlink, finds_a_link_by_name) {
  with_device([](Netlink& netlink, std::uint32_t index) {
    output_of("ip link set v0 mtu 1300");
    const auto down = netlink.find_link("v0");
    ASSERT_TRUE(down);
    EXPECT_EQ(down->index, index);
    EXPECT_EQ(down->name, "v0");
    EXPECT_EQ(down->mtu, 1300U);
    EXPECT_FALSE(down->is_up);
    output_of("ip link set v0 up");
    EXPECT_TRUE(netlink.find_link("v0")->is_up);
  });
}

TEST(Netlink, finds_no_link_where_there_is_none) {
  with_device([](Netlink& netlink, std::uint32_t) {
    EXPECT_FALSE(netlink.find_link("nothing"));
    EXPECT_FALSE(netlink.find_link(""));
    EXPECT_FALSE(netlink.find_link("a-name-that-is-too-long"));
    EXPECT_TRUE(netlink.find_link("v0"));
  });
}

TEST(Netlink, lists_all_links) {
  with_device([](Netlink& netlink, std::uint32_t) {
    std::vector<std::string> names;
    for (const Link& link : netlink.links()) names.push_back(link.name);
    EXPECT_THAT(names, IsSupersetOf({"lo", "v0", "v1"}));
  });
}

TEST(Netlink, sets_the_mtu) {
  with_device([](Netlink& netlink, std::uint32_t index) {
    netlink.set_mtu(index, 1420);
    EXPECT_THAT(output_of("ip link show v0"), HasSubstr("mtu 1420"));
  });
}

TEST(Netlink, brings_a_device_up_and_down_and_leaves_its_mtu_alone) {
  with_device([](Netlink& netlink, std::uint32_t index) {
    output_of("ip link set v0 mtu 1400");
    netlink.set_up(index, true);
    EXPECT_THAT(output_of("ip link show v0"), AllOf(HasSubstr(",UP"), HasSubstr("mtu 1400")));
    netlink.set_up(index, false);
    EXPECT_THAT(output_of("ip link show v0"), AllOf(Not(HasSubstr(",UP")), HasSubstr("mtu 1400")));
  });
}

TEST(Netlink, says_which_change_of_which_device_was_refused) {
  with_device([](Netlink& netlink, std::uint32_t index) {
    expect_system_error([&] { netlink.set_mtu(index, 1); }, std::errc::invalid_argument,
                        AllOf(HasSubstr("MTU 1 "), HasSubstr("interface v0")));
    expect_system_error([&] { netlink.set_mtu(no_such_index, 1400); }, std::errc::no_such_device,
                        AllOf(HasSubstr("4242"), HasSubstr("no such interface")));
    expect_system_error([&] { netlink.set_up(no_such_index, true); }, std::errc::no_such_device,
                        HasSubstr("bring up interface number 4242"));
    expect_system_error([&] { netlink.set_up(no_such_index, false); }, std::errc::no_such_device,
                        HasSubstr("take down interface number 4242"));
    expect_system_error([&] { netlink.add_address(no_such_index, prefix("10.1.0.1/24")); }, std::errc::no_such_device,
                        AllOf(HasSubstr("10.1.0.1/24"), HasSubstr("4242")));
    expect_system_error([&] { netlink.add_route(no_such_index, {prefix("10.1.0.0/24")}); }, std::errc::no_such_device,
                        AllOf(HasSubstr("10.1.0.0/24"), HasSubstr("4242")));
  });
}

TEST(Netlink, works_on_after_an_error) {
  with_device([](Netlink& netlink, std::uint32_t index) {
    EXPECT_THROW(netlink.set_mtu(no_such_index, 1400), std::system_error);
    netlink.set_mtu(index, 1400);
    EXPECT_EQ(netlink.find_link("v0")->mtu, 1400U);
  });
}

TEST(Netlink, says_what_privilege_is_missing) {
  with_device([](Netlink& netlink, std::uint32_t index) {
    test::drop_capability(CAP_NET_ADMIN);
    expect_system_error([&] { netlink.set_up(index, true); }, std::errc::operation_not_permitted,
                        AllOf(HasSubstr("interface v0"), HasSubstr("CAP_NET_ADMIN")));
  });
}

TEST(Netlink, says_that_it_may_have_no_more_descriptors) {
  in_own_namespace([] {
    test::fail_system_call(SYS_socket, EMFILE, AF_NETLINK);
    for (const auto& open : std::vector<std::function<void()>>{[] { Netlink(); }, [] { LinkMonitor(); },
                                                               [] { RouteMonitor(); }, [] { PolicyMonitor(); }}) {
      expect_system_error(open, std::errc::too_many_files_open, HasSubstr("netlink"));
    }
  });
}

TEST(Netlink, adds_addresses_with_their_host_bits) {
  with_device([](Netlink& netlink, std::uint32_t index) {
    for (const char* text : {"10.1.2.3/24", "10.1.2.4/32", "fd01::5/64", "fd02::1/128"}) {
      netlink.add_address(index, prefix(text));
      EXPECT_THAT(output_of("ip addr show dev v0"), HasSubstr(std::string(text) + " scope global"));
    }
  });
}

TEST(Netlink, refuses_an_address_that_is_there) {
  with_device([](Netlink& netlink, std::uint32_t index) {
    for (const char* text : {"10.1.2.3/24", "fd01::5/64"}) {
      netlink.add_address(index, prefix(text));
      expect_system_error([&] { netlink.add_address(index, prefix(text)); }, std::errc::file_exists,
                          AllOf(HasSubstr(text), HasSubstr("v0"), HasSubstr("there already")));
    }
  });
}

TEST(Netlink, removes_addresses) {
  with_device([](Netlink& netlink, std::uint32_t index) {
    output_of("ip addr add 10.1.2.3/24 dev v0 && ip addr add 10.1.2.4/24 dev v0 && ip addr add fd01::5/64 dev v0");
    netlink.remove_address(index, prefix("10.1.2.4/24"));
    netlink.remove_address(index, prefix("fd01::5/64"));
    EXPECT_THAT(netlink.addresses(index), UnorderedElementsAre(prefix("10.1.2.3/24")));
    expect_system_error([&] { netlink.remove_address(index, prefix("10.1.2.4/24")); }, std::errc::address_not_available,
                        AllOf(HasSubstr("10.1.2.4/24"), HasSubstr("there is none")));
  });
}

TEST(Netlink, lists_the_addresses_of_one_device) {
  with_device([](Netlink& netlink, std::uint32_t index) {
    EXPECT_TRUE(netlink.addresses(index).empty());
    output_of("ip addr add 10.1.2.3/24 dev v0 && ip addr add fd01::5/64 dev v0 && ip addr add 10.9.9.9/24 dev v1");
    output_of("ip addr add 10.4.0.1 peer 10.4.0.2/32 dev v0");
    EXPECT_THAT(netlink.addresses(index),
                UnorderedElementsAre(prefix("10.1.2.3/24"), prefix("fd01::5/64"), prefix("10.4.0.1/32")));
  });
}

TEST(Netlink, adds_routes_through_a_device) {
  with_device([](Netlink& netlink, std::uint32_t index) {
    netlink.set_up(index, true);
    netlink.add_route(index, {prefix("10.5.0.0/16")});
    netlink.add_route(index, {prefix("0.0.0.0/0")});
    netlink.add_route(index, {prefix("192.0.2.1/32")});
    netlink.add_route(index, {prefix("fd05::/48")});
    netlink.add_route(index, {prefix("::/0")});
    const std::string v4 = output_of("ip -details route show");
    EXPECT_THAT(v4, HasSubstr("unicast 10.5.0.0/16 dev v0 proto boot scope link"));
    EXPECT_THAT(v4, HasSubstr("unicast default dev v0 proto boot scope link"));
    EXPECT_THAT(v4, HasSubstr("unicast 192.0.2.1 dev v0 proto boot scope link"));
    const std::string v6 = output_of("ip -6 -details route show");
    EXPECT_THAT(v6, HasSubstr("unicast fd05::/48 dev v0 proto boot"));
    EXPECT_THAT(v6, HasSubstr("unicast default dev v0 proto boot"));
  });
}

TEST(Netlink, clears_the_host_bits_of_a_route) {
  with_device([](Netlink& netlink, std::uint32_t index) {
    netlink.set_up(index, true);
    netlink.add_route(index, {prefix("10.5.6.7/16")});
    EXPECT_THAT(output_of("ip route"), HasSubstr("10.5.0.0/16 dev v0"));
    netlink.remove_route(index, {prefix("10.5.9.9/16")});
    EXPECT_THAT(output_of("ip route"), Not(HasSubstr("10.5.0.0/16")));
  });
}

TEST(Netlink, adds_a_default_route_by_a_gateway) {
  with_device([](Netlink& netlink, std::uint32_t index) {
    output_of("ip addr add 10.1.0.2/24 dev v0 && ip link set v0 up && ip addr add fd01::2/64 dev v0 nodad");
    netlink.add_default_route(index, prefix("10.1.0.1").address);
    netlink.add_default_route(index, prefix("fd01::1").address);
    EXPECT_THAT(output_of("ip route"), HasSubstr("default via 10.1.0.1 dev v0"));
    EXPECT_THAT(output_of("ip -6 route"), HasSubstr("default via fd01::1 dev v0"));
    expect_system_error([&] { netlink.add_default_route(index, prefix("10.1.0.1").address); }, std::errc::file_exists,
                        AllOf(HasSubstr("default route by 10.1.0.1"), HasSubstr("v0"), HasSubstr("there already")));
    expect_system_error([&] { netlink.add_default_route(index, prefix("10.9.0.1").address); },
                        std::errc::network_unreachable, HasSubstr("10.9.0.1"));
  });
}

TEST(Netlink, routes_go_to_the_table_asked_for) {
  with_device([](Netlink& netlink, std::uint32_t index) {
    netlink.set_up(index, true);
    netlink.add_route(index, {prefix("0.0.0.0/0"), 51820});
    netlink.add_route(index, {prefix("::/0"), 51820});
    EXPECT_THAT(output_of("ip route show table 51820"), HasSubstr("default dev v0"));
    EXPECT_THAT(output_of("ip -6 route show table 51820"), HasSubstr("default dev v0"));
    EXPECT_THAT(output_of("ip route"), Not(HasSubstr("default")));
    netlink.remove_route(index, {prefix("0.0.0.0/0"), 51820});
    netlink.remove_route(index, {prefix("::/0"), 51820});
    EXPECT_TRUE(netlink.routes(index).empty());
  });
}

TEST(Netlink, refuses_a_route_that_is_there) {
  with_device([](Netlink& netlink, std::uint32_t index) {
    netlink.set_up(index, true);
    for (const char* text : {"10.5.0.0/16", "fd05::/48"}) {
      netlink.add_route(index, {prefix(text)});
      expect_system_error([&] { netlink.add_route(index, {prefix(text)}); }, std::errc::file_exists,
                          AllOf(HasSubstr(text), HasSubstr("v0"), HasSubstr("there already")));
    }
  });
}

TEST(Netlink, does_not_replace_a_route_of_another_device) {
  with_device([](Netlink& netlink, std::uint32_t index) {
    netlink.set_up(index, true);
    output_of("ip route add 10.5.0.0/16 dev v1");
    expect_system_error([&] { netlink.add_route(index, {prefix("10.5.0.0/16")}); }, std::errc::file_exists,
                        HasSubstr("10.5.0.0/16"));
    EXPECT_THAT(output_of("ip route"), HasSubstr("10.5.0.0/16 dev v1"));
  });
}

TEST(Netlink, says_that_a_device_must_be_up_to_carry_a_route) {
  with_device([](Netlink& netlink, std::uint32_t index) {
    expect_system_error([&] { netlink.add_route(index, {prefix("10.5.0.0/16")}); }, std::errc::network_down,
                        AllOf(HasSubstr("10.5.0.0/16"), HasSubstr("bring it up")));
  });
}

TEST(Netlink, removes_a_route_whoever_made_it) {
  with_device([](Netlink& netlink, std::uint32_t index) {
    output_of("ip addr add 10.1.2.3/24 dev v0 && ip link set v0 up");
    output_of("ip route add 10.5.0.0/16 dev v0 proto static scope global && ip -6 route add fd05::/48 dev v0");
    for (const char* text : {"10.5.0.0/16", "10.1.2.0/24", "fd05::/48"}) {
      EXPECT_THAT(netlink.routes(index), Contains(::testing::Field(&Route::destination, prefix(text))));
      netlink.remove_route(index, {prefix(text)});
    }
    EXPECT_TRUE(netlink.routes(index).empty());
  });
}

TEST(Netlink, says_which_route_is_missing) {
  with_device([](Netlink& netlink, std::uint32_t index) {
    netlink.set_up(index, true);
    expect_system_error([&] { netlink.remove_route(index, {prefix("10.5.0.0/16")}); }, std::errc::no_such_process,
                        AllOf(HasSubstr("10.5.0.0/16"), HasSubstr("there is none")));
  });
}

TEST(Netlink, lists_the_routes_of_one_device_without_those_to_the_machine_itself) {
  with_device([](Netlink& netlink, std::uint32_t index) {
    output_of("ip addr add 10.1.2.3/24 dev v0 && ip link set v0 up && ip route add 10.6.0.0/16 dev v1");
    output_of("ip route add default dev v0 table 100 && ip -6 route add default dev v0");
    output_of("ip route add 10.8.0.0/16 nexthop dev v0 nexthop dev v1 && ip route add 10.9.0.0/16 via 10.1.2.9");
    std::vector<std::pair<Prefix, std::uint32_t>> routes;
    for (const Route& route : netlink.routes(index)) routes.emplace_back(route.destination, route.table);
    EXPECT_THAT(routes,
                UnorderedElementsAre(std::pair(prefix("10.1.2.0/24"), 254U), std::pair(prefix("0.0.0.0/0"), 100U),
                                     std::pair(prefix("::/0"), 254U), std::pair(prefix("10.9.0.0/16"), 254U)));
  });
}

TEST(Netlink, stays_in_the_namespace_in_which_it_was_made) {
  with_device([](Netlink& netlink, std::uint32_t index) {
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
    ASSERT_EQ(::if_nametoindex("v0"), 0U);
    netlink.set_mtu(index, 1333);
    EXPECT_EQ(netlink.find_link("v0")->mtu, 1333U);
    EXPECT_FALSE(Netlink().find_link("v0"));
  });
}

TEST(Netlink, can_be_moved) {
  with_device([](Netlink& netlink, std::uint32_t index) {
    Netlink moved(std::move(netlink));
    moved.set_mtu(index, 1333);
    netlink = std::move(moved);
    expect_system_error([&] { netlink.set_mtu(no_such_index, 1400); }, std::errc::no_such_device, HasSubstr("4242"));
    EXPECT_EQ(netlink.find_link("v0")->mtu, 1333U);
  });
}

}  // namespace
}  // namespace culvert
