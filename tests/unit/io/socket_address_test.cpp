// Endpoints to sockaddr and back.
#include "culvert/io/socket_address.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>

#include <cstring>

namespace culvert {
namespace {

Endpoint endpoint(const char* address, std::uint16_t port, std::uint32_t scope_id = 0) {
  return {Address::parse(address).value(), port, scope_id};
}

TEST(SocketAddress, writes_ipv4_as_the_kernel_reads_it) {
  sockaddr_storage out{};
  ASSERT_EQ(to_socket_address(endpoint("192.0.2.7", 51820), out), sizeof(sockaddr_in));
  sockaddr_in v4;
  std::memcpy(&v4, &out, sizeof v4);
  EXPECT_EQ(v4.sin_family, AF_INET);
  EXPECT_EQ(ntohs(v4.sin_port), 51820);
  EXPECT_EQ(ntohl(v4.sin_addr.s_addr), 0xC0000207U);
}

TEST(SocketAddress, writes_ipv6_with_its_scope) {
  sockaddr_storage out{};
  ASSERT_EQ(to_socket_address(endpoint("fe80::5", 1, 7), out), sizeof(sockaddr_in6));
  sockaddr_in6 v6;
  std::memcpy(&v6, &out, sizeof v6);
  in6_addr expected;
  ASSERT_EQ(::inet_pton(AF_INET6, "fe80::5", &expected), 1);
  EXPECT_EQ(v6.sin6_family, AF_INET6);
  EXPECT_EQ(ntohs(v6.sin6_port), 1);
  EXPECT_EQ(v6.sin6_scope_id, 7U);
  EXPECT_EQ(std::memcmp(&v6.sin6_addr, &expected, sizeof expected), 0);
}

TEST(SocketAddress, comes_back_as_it_went) {
  for (const Endpoint& each :
       {endpoint("0.0.0.0", 0), endpoint("203.0.113.255", 65535), endpoint("::", 0), endpoint("fe80::1", 9, 3)}) {
    sockaddr_storage out{};
    const socklen_t length = to_socket_address(each, out);
    EXPECT_EQ(from_socket_address(out, length), each) << each.to_string();
  }
}

TEST(SocketAddress, refuses_an_address_that_is_cut_off) {
  for (const char* text : {"192.0.2.7", "2001:db8::1"}) {
    sockaddr_storage out{};
    const socklen_t length = to_socket_address(endpoint(text, 1), out);
    EXPECT_FALSE(from_socket_address(out, length - 1)) << text;
  }
}

TEST(SocketAddress, refuses_other_families) {
  sockaddr_storage other{};
  other.ss_family = AF_UNIX;
  EXPECT_FALSE(from_socket_address(other, sizeof other));
}

}  // namespace
}  // namespace culvert
