// resolv.conf and nsswitch.conf of a tunnel's namespace.
#include "culvert/exec/resolver_files.hpp"

#include <gmock/gmock.h>

namespace culvert {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(ResolverFiles, resolv_conf_has_the_servers_and_the_search_domains_of_a_file) {
  const std::string text = resolv_conf_of({"10.9.0.53", "example.org", "fd09::53", "example.net"});
  EXPECT_THAT(text, HasSubstr("\nnameserver 10.9.0.53\nnameserver fd09::53\nsearch example.org example.net\n"));
  EXPECT_THAT(resolv_conf_of({"10.9.0.53"}), Not(HasSubstr("search")));
}

TEST(ResolverFiles, nsswitch_asks_for_hosts_by_dns_alone_and_for_all_else_as_before) {
  EXPECT_EQ(nsswitch_with_dns_alone("passwd: files sss\n\thosts:  files mdns4 resolve\n# hosts: x\nnetworks: files"),
            "passwd: files sss\n# hosts: x\nnetworks: files\nhosts: files dns\n");
  EXPECT_EQ(nsswitch_with_dns_alone(""), "hosts: files dns\n");
}

TEST(ResolverFiles, tell_of_servers_that_another_namespace_cannot_reach) {
  EXPECT_TRUE(asks_only_this_host("nameserver 127.0.0.53\noptions edns0\nnameserver ::1\n"));
  EXPECT_TRUE(asks_only_this_host("# nothing\n"));
  EXPECT_FALSE(asks_only_this_host("nameserver 127.0.0.53\nnameserver 192.0.2.1\n"));
  EXPECT_FALSE(asks_only_this_host("nameserver fd00::1"));
}

TEST(ResolverFiles, every_socket_lies_in_a_folder_that_is_hidden) {
  for (const std::string& socket : sockets_of_resolvers()) {
    const auto& folders = folders_of_resolvers();
    EXPECT_TRUE(std::ranges::any_of(folders, [&](const std::string& folder) {
      return socket.find(folder + "/") != std::string::npos;
    })) << socket;
  }
}

}  // namespace
}  // namespace culvert
