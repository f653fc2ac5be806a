// Every way out of a namespace is found.
#include "culvert/exec/confinement.hpp"

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstring>
#include <fstream>
#include <sstream>

#include "support/own_namespace.hpp"

namespace culvert {
namespace {

using test::in_own_namespace;
using test::output_of;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string resolv_conf() {
  std::ostringstream text;
  text << std::ifstream("/etc/resolv.conf").rdbuf();
  return text.str();
}

const NamespaceIdentity elsewhere{1, 1};

/// In a namespace with "lo" and a device by the name of tunnel0, and a /run of its own.
void in_confinement(const std::function<void()>& body) {
  in_own_namespace([&] {
    output_of(
        "mount -t tmpfs tmpfs /run && ip link add tunnel0 type dummy 2>/dev/null || ip link add tunnel0 type bridge");
    output_of("ip link set tunnel0 up && ip addr add 10.9.0.1/24 dev tunnel0 && ip route add default dev tunnel0");
    body();
  });
}

TEST(Confinement, of_lo_and_the_tunnel_has_no_way_out) {
  in_confinement([] { EXPECT_THAT(find_ways_out("tunnel0", resolv_conf(), elsewhere), IsEmpty()); });
}

TEST(Confinement, with_another_link_has_one) {
  in_confinement([] {
    output_of("ip link add leak0 type veth peer name leak1");
    EXPECT_THAT(find_ways_out("tunnel0", resolv_conf(), elsewhere), Contains(HasSubstr("a link leak0")));
  });
}

TEST(Confinement, with_a_route_of_any_table_and_family_that_leads_elsewhere_has_one) {
  in_confinement([] {
    output_of("ip link add leak0 type veth peer name leak1 && ip link set leak0 up && ip link set leak1 up");
    output_of("ip route add 10.1.0.0/16 dev leak0 table 77 && ip -6 route add fd01::/64 dev leak0");
    const auto found = find_ways_out("tunnel0", resolv_conf(), elsewhere);
    EXPECT_THAT(found, Contains(HasSubstr("route 10.1.0.0/16 in table 77")));
    EXPECT_THAT(found, Contains(HasSubstr("route fd01::/64")));
  });
}

TEST(Confinement, without_the_tunnel_is_told) {
  in_confinement(
      [] { EXPECT_THAT(find_ways_out("tunnel1", resolv_conf(), elsewhere), Contains(HasSubstr("no tunnel1"))); });
}

TEST(Confinement, with_another_resolv_conf_is_told) {
  in_confinement([] {
    EXPECT_THAT(find_ways_out("tunnel0", resolv_conf() + "\n", elsewhere), Contains(HasSubstr("resolv.conf")));
  });
}

TEST(Confinement, that_is_the_namespace_of_all_is_told) {
  in_confinement([] {
    const NamespaceIdentity here = NetworkNamespace::current().identity();
    EXPECT_THAT(find_ways_out("tunnel0", resolv_conf(), here), Contains(HasSubstr("not a new one")));
  });
}

TEST(Confinement, with_a_resolver_that_answers_has_a_way_out) {
  in_confinement([] {
    output_of("mkdir /run/nscd");
    const UniqueFd server(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, "/run/nscd/socket");
    ASSERT_EQ(::bind(server.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    EXPECT_THAT(find_ways_out("tunnel0", resolv_conf(), elsewhere), IsEmpty()) << "it does not listen yet";
    ASSERT_EQ(::listen(server.get(), 1), 0);
    EXPECT_THAT(find_ways_out("tunnel0", resolv_conf(), elsewhere), Contains(HasSubstr("/run/nscd/socket")));
  });
}

}  // namespace
}  // namespace culvert
