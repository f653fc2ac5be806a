// Following a veth to its other end.
#include "culvert/netns/veth_peer.hpp"

#include <gmock/gmock.h>
#include <net/if.h>
#include <sys/mount.h>

#include <stdexcept>

#include "culvert/netns/named_namespaces.hpp"
#include "culvert/netns/veth_pair.hpp"
#include "support/expect_system_error.hpp"
#include "support/own_namespace.hpp"

namespace culvert {
namespace {

using test::expect_system_error;
using test::in_own_namespace;
using test::output_of;
using ::testing::AllOf;
using ::testing::HasSubstr;

void with_own_run(const std::function<void()>& body) {
  in_own_namespace([&] {
    ASSERT_EQ(::mount("tmpfs", "/run", "tmpfs", 0, nullptr), 0) << std::strerror(errno);
    body();
  });
}

TEST(VethPeer, is_found_by_name_of_its_namespace_from_either_end) {
  with_own_run([] {
    add_namespace("blue");
    add_namespace("red");
    const auto blue = NetworkNamespace::open("blue");
    const auto red = NetworkNamespace::open("red");
    output_of("ip -n red link add filler type bridge");
    const auto pair = VethPair::make({blue, "to-red"}, {red, "to-blue"});
    for (const auto& [here, there, name, end] :
         {std::tuple(&blue, "red", "to-red", pair.right()), std::tuple(&red, "blue", "to-blue", pair.left())}) {
      const VethPeer peer = peer_of(*here, name);
      EXPECT_EQ(peer.index, end.interface.index);
      EXPECT_EQ(peer.name, end.name);
      EXPECT_FALSE(peer.is_here);
      EXPECT_TRUE(peer.namespace_number);
      ASSERT_TRUE(peer.home);
      EXPECT_EQ(peer.home->specification(), there);
      EXPECT_EQ(peer.home->identity, end.interface.home);
    }
  });
}

TEST(VethPeer, in_the_same_namespace_is_told_so) {
  with_own_run([] {
    const auto here = NetworkNamespace::current();
    const auto pair = VethPair::make({here, "near"}, {here, "far"});
    const VethPeer peer = peer_of(here, "near");
    EXPECT_EQ(peer.index, ::if_nametoindex("far"));
    EXPECT_EQ(peer.name, "far");
    EXPECT_TRUE(peer.is_here);
    EXPECT_FALSE(peer.namespace_number);
  });
}

TEST(VethPeer, has_a_name_also_where_its_namespace_cannot_be_found) {
  with_own_run([] {
    const auto here = NetworkNamespace::current();
    const auto hidden = NetworkNamespace::create();
    const auto pair = VethPair::make({here, "near"}, {hidden, "far"});
    const VethPeer peer = peer_of(here, "near");
    EXPECT_EQ(peer.index, pair.right().interface.index);
    EXPECT_EQ(peer.name, "far");
    EXPECT_TRUE(peer.namespace_number);
    EXPECT_FALSE(peer.home);
  });
}

TEST(VethPeer, is_refused_for_what_is_no_end_of_a_pair) {
  with_own_run([] {
    add_namespace("blue");
    const auto blue = NetworkNamespace::open("blue");
    output_of("ip -n blue link add br0 type bridge");
    expect_system_error([&] { static_cast<void>(peer_of(blue, "none")); }, std::errc::no_such_device,
                        AllOf(HasSubstr("'none'"), HasSubstr("'blue'")));
    for (const auto& [name, kind] : {std::pair("br0", "of kind bridge"), std::pair("lo", "no virtual link")}) {
      try {
        static_cast<void>(peer_of(blue, name));
        ADD_FAILURE() << "nothing was thrown";
      } catch (const std::invalid_argument& error) {
        EXPECT_THAT(error.what(), AllOf(HasSubstr(name), HasSubstr("'blue'"), HasSubstr(kind)));
      }
    }
  });
}

}  // namespace
}  // namespace culvert
