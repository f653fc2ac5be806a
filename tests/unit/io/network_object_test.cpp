// Objects of the kernel as it tells them, moved and made again.
#include "culvert/io/network_object.hpp"

#include <gmock/gmock.h>
#include <net/if.h>

#include "culvert/io/netlink.hpp"
#include "support/own_namespace.hpp"

namespace culvert {
namespace {

using std::chrono::seconds;
using test::in_own_namespace;
using test::output_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

LinkName link(const char* name) {
  return {::if_nametoindex(name), name};
}

void with_links(const std::function<void(Netlink&)>& body) {
  in_own_namespace([&] {
    output_of("ip link add one type veth peer name two && ip link set one addrgenmode none up");
    output_of("ip link set two addrgenmode none up");
    Netlink netlink;
    body(netlink);
  });
}

std::vector<std::string> described(const std::vector<NetworkObject>& objects) {
  std::vector<std::string> texts;
  for (const NetworkObject& object : objects) texts.push_back(describe(object));
  return texts;
}

constexpr const char* some_of_each =
    "ip addr add 192.0.2.1/24 dev one label one:7 metric 5 && ip addr add fd00::1/64 dev one nodad noprefixroute && "
    "ip addr add 192.0.2.2/24 dev one valid_lft 1000 preferred_lft 500 && "
    "ip neigh add 192.0.2.9 lladdr 02:00:00:00:00:09 dev one && ip rule add iif one table 7 pref 70 && "
    "ip route add 10.1.0.0/16 via 192.0.2.8 dev one metric 3 mtu 1300 proto static src 192.0.2.2 && "
    "ip route add 10.2.0.0/16 nexthop via 192.0.2.8 dev one weight 3 nexthop via 192.0.2.7 dev one && "
    "ip -6 route add fd00::/64 dev one expires 900 && ip -6 route add fd01::/48 via fd00::8 dev one table 9";

TEST(NetworkObjects, are_listed_without_what_the_kernel_makes_of_itself) {
  with_links([](Netlink& netlink) {
    output_of(some_of_each);
    EXPECT_THAT(described(netlink.objects_at(link("one"))),
                ElementsAre("address 192.0.2.1/24", "address 192.0.2.2/24", "address fd00::1/64", "neighbour 192.0.2.9",
                            "routing rule 70", "route 10.1.0.0/16", "route 10.2.0.0/16", "route fd00::/64",
                            "route fd01::/48 in table 9"));
    EXPECT_THAT(netlink.objects_at(link("two")), IsEmpty());
  });
}

TEST(NetworkObjects, are_routes_in_the_name_of_the_kernel_only_where_that_makes_none) {
  with_links([](Netlink& netlink) {
    output_of("ip addr add 192.0.2.1/24 dev one && ip addr add 198.51.100.1/24 dev one noprefixroute");
    output_of("ip route add 198.51.100.0/24 dev one proto kernel scope link metric 100");
    EXPECT_THAT(described(netlink.objects_at(link("one"))),
                ElementsAre("address 192.0.2.1/24", "address 198.51.100.1/24", "route 198.51.100.0/24"));
  });
}

TEST(NetworkObjects, can_be_made_again_just_as_they_were) {
  with_links([](Netlink& netlink) {
    output_of(some_of_each);
    const char* const look =
        "ip -d addr show one; ip -d route show dev one; ip -d route show 10.2.0.0/16; ip -6 -d route "
        "show table 9; ip rule; ip neigh show nud permanent";
    const std::string before = output_of(look);
    const auto objects = netlink.objects_at(link("one"));
    for (auto object = objects.rbegin(); object != objects.rend(); ++object) (void)netlink.remove(*object);
    EXPECT_THAT(netlink.objects_at(link("one")), IsEmpty());
    for (const NetworkObject& object : objects) netlink.add(object, AddMode::Exclusive);
    test::wait_for_local_routes();
    EXPECT_EQ(output_of(look), before);
    EXPECT_FALSE(netlink.remove(moved(objects.front(), link("one"), link("two")))) << "it is not there";
    EXPECT_THROW(netlink.add(objects.front(), AddMode::Exclusive), std::system_error);
  });
}

TEST(NetworkObjects, move_to_another_link_with_all_that_names_it) {
  with_links([](Netlink& netlink) {
    output_of(some_of_each);
    for (const NetworkObject& object : netlink.objects_at(link("one"))) {
      const NetworkObject there = moved(object, link("one"), link("two"));
      EXPECT_NE(there, object) << describe(object);
      EXPECT_TRUE(is_same(there, object)) << describe(object);
      EXPECT_EQ(moved(there, link("two"), link("one")), object) << describe(object);
      EXPECT_EQ(moved(object, {4242, "other"}, link("two")), object) << describe(object);
      EXPECT_EQ(network_object_from_line(to_line(object)), object);
    }
    netlink.add(moved(netlink.objects_at(link("one")).front(), link("one"), link("two")), AddMode::Exclusive);
    EXPECT_THAT(output_of("ip addr show two"), HasSubstr("192.0.2.1/24 metric 5 scope global two:7"));
  });
}

TEST(NetworkObjects, know_their_gateways_and_lifetimes) {
  with_links([](Netlink& netlink) {
    output_of(some_of_each);
    const auto objects = netlink.objects_at(link("one"));
    const auto gateways = [&](std::size_t at) { return gateways_at(objects.at(at), link("one").index); };
    EXPECT_THAT(gateways(5), ElementsAre(*Address::parse("192.0.2.8")));
    EXPECT_THAT(gateways(6), ElementsAre(*Address::parse("192.0.2.8"), *Address::parse("192.0.2.7")));
    EXPECT_THAT(gateways(7), IsEmpty());
    EXPECT_THAT(gateways(8), ElementsAre(*Address::parse("fd00::8")));
    EXPECT_THAT(gateways_at(objects.at(5), link("two").index), IsEmpty());
    EXPECT_EQ(lifetime_of(objects.at(0)), std::nullopt);
    const auto lifetime = lifetime_of(objects.at(1)).value();
    EXPECT_GT(lifetime, seconds(900));
    EXPECT_EQ(lifetime_of(aged(objects.at(1), seconds(400)).value()), lifetime - seconds(400));
    EXPECT_EQ(aged(objects.at(1), seconds(1000)), std::nullopt);
    EXPECT_EQ(aged(objects.at(0), seconds(1000)), objects.at(0));
    EXPECT_TRUE(aged(objects.at(7), seconds(10)));
    EXPECT_EQ(aged(objects.at(7), seconds(900)), std::nullopt);
  });
}

TEST(NetworkObjectLine, that_is_none_of_ours_is_refused) {
  for (const char* line : {"", "address", "address\tzz", "address\t00", "unknown\t0000000000000000", "route\t0",
                           "address\t0000000000000000\t1", "address\t0000000000000000\tx:00",
                           "address\t0000000000000000\t1:0", "address\t0000000000000000\t70000:00"}) {
    EXPECT_FALSE(network_object_from_line(line)) << line;
  }
  EXPECT_TRUE(network_object_from_line("address\t0000000000000000\t1:00"));
}

}  // namespace
}  // namespace culvert
