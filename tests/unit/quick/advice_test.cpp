// Warnings, each with a file that earns it and one that does not.
#include "culvert/quick/advice.hpp"

#include <gmock/gmock.h>
#include <sys/stat.h>

#include <fstream>

#include "support/crypto_ready.hpp"
#include "support/own_namespace.hpp"
#include "support/temporary_directory.hpp"

namespace culvert {
namespace {

using test::in_own_namespace;
using test::output_of;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::StartsWith;

class AdviceTest : public ::testing::Test {
 protected:
  AdviceTest() { ::chmod(directory_.path().c_str(), 0755); }

  std::vector<std::string> advice(const std::string& interface_lines, const std::string& peer_lines,
                                  mode_t mode = 0600) {
    const std::string path = directory_.file("a.conf");
    std::ofstream(path) << "[Interface]\nPrivateKey = yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk=\n"
                        << interface_lines << "\n[Peer]\nPublicKey = xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=\n"
                        << peer_lines << "\n";
    ::chmod(path.c_str(), mode);
    return advice_on(read_config_file(path), find_);
  }

  FindEndpoint find_;

  test::TemporaryDirectory directory_;
};

TEST_F(AdviceTest, is_none_for_a_usual_file) {
  in_own_namespace([&] {
    EXPECT_THAT(advice("Address = 10.0.0.1/24\nMTU = 1420", "Endpoint = 192.0.2.1:1\nAllowedIPs = 0.0.0.0/0, ::/0"),
                IsEmpty());
  });
}

TEST_F(AdviceTest, warns_of_a_file_that_others_can_read_unless_its_folder_keeps_them_out) {
  EXPECT_THAT(advice("", "", 0644), ElementsAre(HasSubstr("a.conf: others can read the file")));
  EXPECT_THAT(advice("", "", 0640), IsEmpty());
  ::chmod(directory_.path().c_str(), 0700);
  EXPECT_THAT(advice("", "", 0644), IsEmpty());
}

TEST_F(AdviceTest, passes_on_the_warnings_of_the_file_itself) {
  EXPECT_THAT(advice("",
                     "AllowedIPs = 10.0.0.0/24\n[Peer]\nPublicKey = TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=\n"
                     "AllowedIPs = 10.0.0.0/24"),
              ElementsAre(HasSubstr("AllowedIPs 10.0.0.0/24 belongs to the peer in line 4, too")));
}

TEST_F(AdviceTest, warns_of_an_endpoint_inside_the_tunnel) {
  EXPECT_THAT(advice("Address = 10.0.0.1/24", "Endpoint = 10.0.0.2:1"),
              ElementsAre(AllOf(HasSubstr("a.conf:4:1: Endpoint 10.0.0.2"), HasSubstr("Address 10.0.0.1/24"))));
  EXPECT_THAT(advice("", "Endpoint = [fd00::2]:1\nAllowedIPs = 10.0.0.0/8, fd00::/16"),
              ElementsAre(HasSubstr("AllowedIPs fd00::/16")));
  EXPECT_THAT(advice("",
                     "Endpoint = 192.0.2.1:1\nAllowedIPs = 10.0.0.0/8\n[Peer]\nPublicKey = "
                     "TrMvSoP4jYQlY6RIzBgbssQqY3vxI2Pi+y71lOWWXX0=\nAllowedIPs = 192.0.2.0/24"),
              ElementsAre(HasSubstr("AllowedIPs 192.0.2.0/24")))
      << "that of another peer";
}

TEST_F(AdviceTest, is_silent_about_an_endpoint_that_only_seems_to_be_inside) {
  EXPECT_THAT(advice("Table = off", "Endpoint = 192.0.2.1:1\nAllowedIPs = 192.0.2.0/24"), IsEmpty());
  EXPECT_THAT(advice("Namespace = inside", "Endpoint = 192.0.2.1:1\nAllowedIPs = 192.0.2.0/24"), IsEmpty());
  EXPECT_THAT(advice("", "Endpoint = vpn.example.com:1\nAllowedIPs = 192.0.2.0/24"), IsEmpty());
}

TEST_F(AdviceTest, looks_at_all_addresses_of_a_name) {
  in_own_namespace([&] {
    output_of("ip link add v0 mtu 1400 type veth peer name v1 && ip link set v0 up && ip link set v1 up");
    output_of("ip addr add 192.0.2.9/24 dev v0 && ip route add default dev v0");
    const char* const file = "Endpoint = vpn.test:7\nAllowedIPs = 10.0.0.0/8";
    std::vector<Endpoint> known;
    find_ = [&](const EndpointName& name) {
      EXPECT_EQ(name.host, "vpn.test");
      return known;
    };
    EXPECT_THAT(advice("", file), ElementsAre(HasSubstr("a.conf:4:1: Endpoint vpn.test: no address is known")));
    known = {*Endpoint::parse("192.0.2.1:7")};
    EXPECT_THAT(advice("", file), IsEmpty());
    EXPECT_THAT(
        advice("MTU = 1341", file),
        ElementsAre(HasSubstr("MTU 1341 is more than the 1340 that fit through the way to vpn.test (192.0.2.1)")));
    known.push_back(*Endpoint::parse("10.0.0.2:7"));
    known.push_back(*Endpoint::parse("10.0.0.3:7"));
    EXPECT_THAT(advice("", file), ElementsAre(HasSubstr("Endpoint vpn.test (10.0.0.2) lies in AllowedIPs 10.0.0.0/8")));
  });
}

TEST_F(AdviceTest, takes_the_default_route_for_the_way_to_a_name_that_nobody_looks_up) {
  in_own_namespace([&] {
    EXPECT_THAT(advice("MTU = 1500", "Endpoint = vpn.test:7"), IsEmpty()) << "no way is known";
    output_of("ip link add v0 mtu 1400 type veth peer name v1 && ip link set v0 up && ip link set v1 up");
    output_of("ip addr add 192.0.2.9/24 dev v0 && ip route add default dev v0");
    EXPECT_THAT(advice("MTU = 1340", "Endpoint = vpn.test:7"), IsEmpty());
    EXPECT_THAT(advice("MTU = 1341", "Endpoint = vpn.test:7"),
                ElementsAre(HasSubstr("1340 that fit through the default route, which probably leads to vpn.test")));
  });
}

TEST_F(AdviceTest, warns_of_an_mtu_larger_than_what_the_way_carries) {
  in_own_namespace([&] {
    output_of("ip link add v0 mtu 1400 type veth peer name v1 && ip link set v0 up && ip link set v1 up");
    output_of("ip addr add 192.0.2.9/24 dev v0 && ip addr add 2001:db8::9/64 dev v0 nodad");
    EXPECT_THAT(advice("MTU = 1341", "Endpoint = 192.0.2.1:1"),
                ElementsAre(AllOf(StartsWith(directory_.path()), HasSubstr("MTU 1341 is more than the 1340"))));
    EXPECT_THAT(advice("MTU = 1340", "Endpoint = 192.0.2.1:1"), IsEmpty());
    EXPECT_THAT(advice("MTU = 1340", "Endpoint = [2001:db8::1]:1"), ElementsAre(HasSubstr("more than the 1320")));
    EXPECT_THAT(advice("MTU = 1341", "Endpoint = 198.51.100.1:1"), IsEmpty()) << "no way is known";
    EXPECT_THAT(advice("MTU = 1341\nSocketNamespace = not-there-yet", "Endpoint = 192.0.2.1:1"), IsEmpty());
  });
}

}  // namespace
}  // namespace culvert
