// Veth pairs between namespaces, looked at with `ip`.
#include "culvert/netns/veth_pair.hpp"

#include <gmock/gmock.h>
#include <net/if.h>

#include <stdexcept>

#include "support/expect_system_error.hpp"
#include "support/own_namespace.hpp"
#include "support/restrictions.hpp"

namespace culvert {
namespace {

using test::expect_system_error;
using test::in_own_namespace;
using test::output_of;
using ::testing::AllOf;
using ::testing::HasSubstr;

std::string output_in(const NetworkNamespace& space, const std::string& command) {
  const ScopedNamespace inside(space);
  return output_of(command);
}

std::string links_in(const NetworkNamespace& space) {
  return output_in(space, "ip -o link | awk '{print $2}' | tr -d '\\n'");
}

std::uint32_t index_in(const NetworkNamespace& space, const std::string& name) {
  const ScopedNamespace inside(space);
  return ::if_nametoindex(name.c_str());
}

TEST(VethPair, has_each_end_in_its_namespace_and_knows_both) {
  in_own_namespace([] {
    const auto left = NetworkNamespace::create();
    const auto right = NetworkNamespace::create();
    output_in(right, "ip link add filler type bridge");
    const auto pair = VethPair::make({left, "to-right"}, {right, "to-left"}, 1400);
    EXPECT_EQ(pair.left().interface, (Interface{left.identity(), index_in(left, "to-right")}));
    EXPECT_EQ(pair.right().interface, (Interface{right.identity(), index_in(right, "to-left")}));
    EXPECT_NE(pair.left().interface.index, 0U);
    EXPECT_THAT(links_in(NetworkNamespace::current()), "lo:");
    EXPECT_THAT(output_in(left, "ip -d link show to-right"), AllOf(HasSubstr("mtu 1400"), HasSubstr("veth")));
    EXPECT_THAT(output_in(right, "ip -d link show to-left"), HasSubstr("mtu 1400"));
  });
}

TEST(VethPair, carries_packets_once_both_ends_are_up) {
  in_own_namespace([] {
    const auto left = NetworkNamespace::create();
    const auto right = NetworkNamespace::create();
    const auto pair = VethPair::make({left, "v"}, {right, "v"});
    output_in(left, "ip address add 10.0.0.1/24 dev v && ip link set v up");
    EXPECT_THAT(output_in(left, "ip link show v"), HasSubstr("NO-CARRIER"));
    output_in(right, "ip address add 10.0.0.2/24 dev v && ip link set v up");
    output_in(left, "ping -c 1 -W 30 10.0.0.2");
    output_in(right, "ping -c 1 -W 30 10.0.0.1");
  });
}

TEST(VethPair, goes_with_its_object_on_both_sides_unless_kept) {
  in_own_namespace([] {
    const auto other = NetworkNamespace::create();
    const auto here = NetworkNamespace::current();
    { const auto pair = VethPair::make({here, "near"}, {other, "far"}); }
    EXPECT_EQ(links_in(other), "lo:");
    VethPair::make({here, "near"}, {other, "far"}).keep();
    EXPECT_NE(index_in(other, "far"), 0U);
    output_of("ip link delete near");
    EXPECT_EQ(links_in(other), "lo:");
  });
}

TEST(VethPair, moves_with_what_it_owns) {
  in_own_namespace([] {
    const auto here = NetworkNamespace::current();
    auto first = VethPair::make({here, "near"}, {here, "far"});
    {
      const auto second = std::move(first);
      EXPECT_EQ(second.left().name, "near");
      EXPECT_NE(::if_nametoindex("near"), 0U);
    }
    EXPECT_EQ(::if_nametoindex("near"), 0U);
  });
}

TEST(VethPair, is_removed_by_the_end_that_is_left_where_it_was) {
  in_own_namespace([] {
    const auto here = NetworkNamespace::current();
    const auto other = NetworkNamespace::create();
    const auto third = NetworkNamespace::create();
    {
      const auto pair = VethPair::make({here, "near"}, {other, "far"});
      netlink_in(here).move_link(pair.left().interface.index, third.fd());
      EXPECT_NE(index_in(third, "near"), 0U);
    }
    EXPECT_EQ(links_in(third), "lo:");
    EXPECT_EQ(links_in(other), "lo:");
  });
}

TEST(VethPair, does_not_remove_what_has_got_its_number) {
  in_own_namespace([] {
    const auto here = NetworkNamespace::current();
    const auto other = NetworkNamespace::create();
    {
      const auto pair = VethPair::make({here, "near"}, {other, "far"});
      const auto index = std::to_string(pair.left().interface.index);
      output_of("ip link delete near && ip link add innocent index " + index + " type bridge");
    }
    EXPECT_NE(::if_nametoindex("innocent"), 0U);
  });
}

TEST(VethPair, takes_the_first_free_default_names) {
  in_own_namespace([] {
    const auto here = NetworkNamespace::current();
    const auto other = NetworkNamespace::create();
    output_of("ip link add veth0 type bridge");
    const auto across = VethPair::make({here, ""}, {other, ""});
    EXPECT_EQ(across.left().name, "veth1");
    EXPECT_EQ(across.right().name, "veth0");
    const auto within = VethPair::make({here, ""}, {here, "veth2"});
    EXPECT_EQ(within.left().name, "veth3");
    const auto both = VethPair::make({here, ""}, {here, ""});
    EXPECT_EQ(both.left().name, "veth4");
    EXPECT_EQ(both.right().name, "veth5");
  });
}

TEST(VethPair, refuses_names_that_are_taken_and_says_where) {
  in_own_namespace([] {
    const auto here = NetworkNamespace::current();
    const auto other = NetworkNamespace::create();
    output_of("ip link add taken type bridge");
    output_in(other, "ip link add taken type bridge");
    const auto by_path = NetworkNamespace::open("/proc/self/fd/" + std::to_string(other.fd()));
    const std::string before = links_in(here);
    expect_system_error(
        [&] {
          VethPair::make({here, "taken"}, {other, "far"});
        },
        std::errc::file_exists, HasSubstr("'taken'"));
    expect_system_error(
        [&] {
          VethPair::make({here, "near"}, {by_path, "taken"});
        },
        std::errc::file_exists, AllOf(HasSubstr("'taken'"), HasSubstr(by_path.specification())));
    EXPECT_EQ(links_in(here), before);
    EXPECT_EQ(links_in(other), "lo:taken:");
    EXPECT_THROW(VethPair::make({here, "same"}, {here, "same"}), std::invalid_argument);
  });
}

TEST(VethPair, refuses_what_cannot_be_a_name) {
  in_own_namespace([] {
    const auto here = NetworkNamespace::current();
    for (const std::string& name : {std::string("a/b"), std::string("a b"), std::string("a:b"), std::string("."),
                                    std::string(".."), std::string("a%d"), std::string(16, 'n'), std::string("a\n")}) {
      EXPECT_THROW(VethPair::make({here, name}, {here, ""}), std::invalid_argument) << name;
      EXPECT_THROW(VethPair::make({here, ""}, {here, name}), std::invalid_argument) << name;
    }
    EXPECT_THROW(check_interface_name(""), std::invalid_argument);
    EXPECT_EQ(links_in(here), "lo:");
    EXPECT_EQ(VethPair::make({here, std::string(15, 'n')}, {here, ""}).left().name, std::string(15, 'n'));
  });
}

TEST(VethPair, says_what_permission_is_missing) {
  in_own_namespace([] {
    const auto here = NetworkNamespace::current();
    test::drop_capability(CAP_NET_ADMIN);
    expect_system_error(
        [&] {
          VethPair::make({here, "near"}, {here, "far"});
        },
        std::errc::operation_not_permitted, AllOf(HasSubstr("near"), HasSubstr("CAP_NET_ADMIN")));
    EXPECT_EQ(links_in(here), "lo:");
  });
}

}  // namespace
}  // namespace culvert
