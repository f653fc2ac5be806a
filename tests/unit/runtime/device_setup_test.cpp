// Devices set up in networks of the test's own, and the routes they are to have.
#include "culvert/runtime/device_setup.hpp"

#include <gmock/gmock.h>
#include <unistd.h>

#include <functional>
#include <system_error>

#include "support/crypto_ready.hpp"
#include "support/expect_system_error.hpp"
#include "support/own_namespace.hpp"

namespace culvert {

void PrintTo(const Route& route, std::ostream* out) {
  *out << route.destination.to_string() << " table " << route.table;
}

namespace {

using test::expect_system_error;
using test::in_own_namespace;
using test::output_of;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

constexpr std::uint32_t main_table = 254;

Config config_of(const std::string& interface_lines, const std::vector<std::string>& allowed_ips = {}) {
  std::string text = "[Interface]\nPrivateKey = YAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n" + interface_lines;
  int peer = 0;
  for (const std::string& prefixes : allowed_ips) {
    const std::string key = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8D" + std::string(1, char('A' + 4 * peer++)) + "=";
    text += "\n[Peer]\nPublicKey = " + key + "\nAllowedIPs = " + prefixes + "\n";
  }
  return parse_config(text, "test.conf");
}

auto route(const std::string& prefix, std::uint32_t table = main_table) {
  return ::testing::AllOf(::testing::Field(&Route::destination, *Prefix::parse(prefix)),
                          ::testing::Field(&Route::table, table));
}

TEST(RoutesOf, are_one_for_each_allowed_prefix) {
  EXPECT_THAT(routes_of(config_of("", {"10.1.0.0/16, fd01::/64", "10.2.0.0/16"})),
              UnorderedElementsAre(route("10.1.0.0/16"), route("fd01::/64"), route("10.2.0.0/16")));
}

TEST(RoutesOf, are_none_without_peers_or_with_table_off) {
  EXPECT_THAT(routes_of(config_of("")), IsEmpty());
  EXPECT_THAT(routes_of(config_of("Table = off\n", {"10.1.0.0/16"})), IsEmpty());
}

TEST(RoutesOf, are_none_on_a_tap) {
  EXPECT_THAT(routes_of(config_of("Mode = tap\n", {"10.1.0.0/16"})), IsEmpty());
}

TEST(DefaultMtu, is_that_of_ethernet_on_a_tap) {
  EXPECT_EQ(default_mtu_of(DeviceMode::Routed), 1420u);
  EXPECT_EQ(default_mtu_of(DeviceMode::Switched), 1500u);
}

TEST(RoutesOf, go_to_the_table_asked_for) {
  EXPECT_THAT(routes_of(config_of("Table = 777\n", {"10.1.0.0/16"})), UnorderedElementsAre(route("10.1.0.0/16", 777)));
}

TEST(RoutesOf, leave_out_what_the_addresses_imply) {
  EXPECT_THAT(routes_of(config_of("Address = 10.1.0.1/24, fd01::1/64\n", {"10.1.0.0/24, 10.1.0.7/32, fd01::7/128"})),
              IsEmpty());
}

TEST(RoutesOf, keep_what_is_larger_than_or_beside_what_the_addresses_imply) {
  EXPECT_THAT(routes_of(config_of("Address = 10.1.0.1/24, fd01::1/64\n", {"10.1.0.0/23, 10.1.2.0/24, fd01:1::/64"})),
              UnorderedElementsAre(route("10.1.0.0/23"), route("10.1.2.0/24"), route("fd01:1::/64")));
}

TEST(RoutesOf, do_not_take_a_network_of_the_other_family_for_implied) {
  EXPECT_THAT(routes_of(config_of("Address = ::1/0\n", {"10.1.0.0/24"})), UnorderedElementsAre(route("10.1.0.0/24")));
}

TEST(RoutesOf, leave_out_nothing_of_another_table_because_the_kernel_implies_only_the_main_one) {
  EXPECT_THAT(routes_of(config_of("Address = 10.1.0.1/24\nTable = 777\n", {"10.1.0.7/32"})),
              UnorderedElementsAre(route("10.1.0.7/32", 777)));
}

TEST(RoutesOf, name_each_network_once_without_host_bits) {
  Config config = config_of("", {"10.1.0.0/16", "10.2.0.0/16"});
  config.peers[0].allowed_ips = {*Prefix::parse("10.1.2.3/16"), *Prefix::parse("10.1.9.9/16")};
  config.peers[1].allowed_ips = {*Prefix::parse("10.1.0.0/16")};
  EXPECT_THAT(routes_of(config), UnorderedElementsAre(route("10.1.0.0/16")));
}

void with_tun(const std::function<void()>& body) {
  in_own_namespace([&] {
    if (::access("/dev/net/tun", R_OK | W_OK) != 0) GTEST_SKIP() << "/dev/net/tun cannot be used";
    body();
  });
}

/// Set-up of `config` fails with `code`, and neither device nor routes are left.
template <class Code>
void expect_undone(const Config& config, Code code, const std::string& text) {
  expect_system_error([&] { (void)set_up_device("setup0", config, NetworkNamespace::current()); }, code,
                      HasSubstr(text));
  EXPECT_EQ(Netlink().find_link("setup0"), std::nullopt);
  EXPECT_EQ(output_of("ip route show table all | grep setup0 || true"), "");
}

TEST(DeviceSetup, gives_the_device_all_that_the_file_says) {
  with_tun([] {
    const Config config = config_of("Address = 10.1.0.1/24, fd01::1/64\nMTU = 1380\n", {"10.2.0.0/16, fd02::/64"});
    const TunDevice device = set_up_device("setup0", config, NetworkNamespace::current());
    Netlink netlink;
    const auto link = netlink.find_link("setup0");
    ASSERT_TRUE(link);
    EXPECT_EQ(link->mtu, 1380u);
    EXPECT_TRUE(link->is_up);
    EXPECT_THAT(netlink.addresses(link->index), ::testing::IsSupersetOf(config.addresses));
    EXPECT_THAT(netlink.routes(link->index),
                ::testing::IsSupersetOf({route("10.1.0.0/24"), route("10.2.0.0/16"), route("fd02::/64")}));
  });
}

TEST(DeviceSetup, has_an_mtu_that_fits_most_paths_when_the_file_has_none) {
  with_tun([] {
    const TunDevice device = set_up_device("setup0", config_of(""), NetworkNamespace::current());
    EXPECT_EQ(Netlink().find_link("setup0")->mtu, 1420u);
  });
}

TEST(DeviceSetup, happens_in_the_namespace_given_and_leaves_the_thread_where_it_was) {
  with_tun([] {
    const NetworkNamespace there = NetworkNamespace::current();
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
    const auto here = NetworkNamespace::current().identity();
    const TunDevice device = set_up_device("setup0", config_of("Address = 10.1.0.1/24\n"), there);
    EXPECT_EQ(NetworkNamespace::current().identity(), here);
    EXPECT_EQ(Netlink().find_link("setup0"), std::nullopt);
    const ScopedNamespace inside(there);
    EXPECT_NE(Netlink().find_link("setup0"), std::nullopt);
  });
}

TEST(DeviceSetup, leaves_nothing_when_the_device_goes) {
  with_tun([] {
    {
      (void)set_up_device("setup0", config_of("Address = 10.1.0.1/24\n", {"10.2.0.0/16"}), NetworkNamespace::current());
    }
    EXPECT_EQ(Netlink().find_link("setup0"), std::nullopt);
    EXPECT_EQ(output_of("ip route show table all | grep setup0 || true"), "");
  });
}

TEST(DeviceSetup, leaves_nothing_when_an_address_is_refused) {
  with_tun([] {
    Config config = config_of("Address = 10.1.0.1/24\n");
    config.addresses.push_back(config.addresses.front());
    expect_undone(config, std::errc::file_exists, "address 10.1.0.1/24 to interface setup0");
  });
}

TEST(DeviceSetup, leaves_nothing_when_the_mtu_is_refused) {
  with_tun([] {
    Config config = config_of("Address = 10.1.0.1/24\n");
    config.mtu = 67;
    expect_undone(config, std::errc::invalid_argument, "MTU 67");
  });
}

TEST(DeviceSetup, leaves_nothing_when_a_route_is_there_already) {
  with_tun([] {
    output_of("ip route add 10.2.0.0/16 dev lo scope link");
    const Config config = config_of("Address = 10.1.0.1/24\n", {"10.3.0.0/16, 10.2.0.0/16"});
    expect_undone(config, std::errc::file_exists, "route 10.2.0.0/16");
    EXPECT_THAT(output_of("ip route show"), HasSubstr("10.2.0.0/16 dev lo"));
  });
}

TEST(DeviceSetup, does_not_touch_a_device_that_has_the_name_already) {
  with_tun([] {
    output_of("ip link add setup0 type veth peer name setup1");
    expect_system_error([] { (void)set_up_device("setup0", config_of(""), NetworkNamespace::current()); },
                        std::errc::device_or_resource_busy, HasSubstr("setup0"));
    EXPECT_NE(Netlink().find_link("setup0"), std::nullopt);
  });
}

}  // namespace
}  // namespace culvert
