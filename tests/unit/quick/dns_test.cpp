// DNS set by programs that write down what they are told.
#include "culvert/quick/dns.hpp"

#include <gmock/gmock.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <fstream>
#include <sstream>

#include "support/temporary_directory.hpp"

namespace culvert {
namespace {

class DnsTest : public ::testing::Test {
 protected:
  DnsTest() {
    programs_.resolvconf = {directory_.file("absent"), directory_.file("resolvconf")};
    programs_.resolvectl = {directory_.file("absent"), directory_.file("resolvectl")};
    programs_.resolved_socket = directory_.file("resolved");
    programs_.interface_order = directory_.file("interface-order");
  }

  /// A program that writes its arguments and its input down and ends with `status`.
  void install(const std::string& name, int status = 0) {
    std::ofstream(directory_.file(name)) << "#!/bin/sh\n{ echo " << name << " \"$@\"; test -t 0 || cat; } >> "
                                         << directory_.file("said") << " < /dev/stdin\nexit " << status << "\n";
    ::chmod(directory_.file(name).c_str(), 0755);
  }

  void serve_resolved() {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    programs_.resolved_socket.copy(address.sun_path, sizeof address.sun_path - 1);
    server_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    ASSERT_EQ(::bind(server_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
    ASSERT_EQ(::listen(server_.get(), 5), 0);
  }

  std::string said() {
    std::ostringstream text;
    text << std::ifstream(directory_.file("said")).rdbuf();
    return text.str();
  }

  test::TemporaryDirectory directory_;
  DnsPrograms programs_;
  ProgramRunner runner_{"wg0"};
  UniqueFd server_;
};

TEST_F(DnsTest, cannot_be_set_without_a_program_that_knows_the_resolver) {
  EXPECT_EQ(plan_dns("wg0", programs_), std::nullopt);
  install("resolvectl");
  EXPECT_EQ(plan_dns("wg0", programs_), std::nullopt) << "systemd-resolved does not run";
  std::ofstream(programs_.resolved_socket) << "not a socket";
  EXPECT_EQ(plan_dns("wg0", programs_), std::nullopt);
}

TEST_F(DnsTest, is_given_to_resolvconf_on_its_standard_input) {
  install("resolvconf");
  const auto plan = plan_dns("wg0", programs_);
  ASSERT_EQ(plan, Undo(RemoveFromResolvconf{"wg0"}));
  set_dns(*plan, {"10.0.0.53", "example.org", "fd00::53", "example.net"}, runner_, programs_);
  EXPECT_EQ(said(),
            "resolvconf -a wg0 -m 0 -x\nnameserver 10.0.0.53\nnameserver fd00::53\nsearch example.org example.net\n");
}

TEST_F(DnsTest, is_taken_from_resolvconf_again) {
  install("resolvconf");
  unset_resolvconf("tun.wg0", runner_, programs_);
  EXPECT_THAT(said(), ::testing::StartsWith("resolvconf -d tun.wg0 -f\n"));
}

TEST_F(DnsTest, names_no_search_domains_to_resolvconf_when_there_are_none) {
  install("resolvconf");
  set_dns(*plan_dns("wg0", programs_), {"10.0.0.53"}, runner_, programs_);
  EXPECT_EQ(said(), "resolvconf -a wg0 -m 0 -x\nnameserver 10.0.0.53\n");
}

TEST_F(DnsTest, ranks_first_at_resolvconf_by_the_first_pattern_of_its_order) {
  install("resolvconf");
  std::ofstream(programs_.interface_order) << "# comment*\nlo.inet6\nlo.@(dhclient)*\ntun*\ntap*\n";
  EXPECT_EQ(plan_dns("wg0", programs_), Undo(RemoveFromResolvconf{"tun.wg0"}));
}

TEST_F(DnsTest, is_told_to_systemd_resolved_where_it_runs_and_there_is_no_resolvconf) {
  install("resolvectl");
  serve_resolved();
  const auto plan = plan_dns("wg0", programs_);
  ASSERT_EQ(plan, Undo(RevertResolved{"wg0"}));
  set_dns(*plan, {"10.0.0.53", "example.org"}, runner_, programs_);
  EXPECT_THAT(said(), ::testing::AllOf(::testing::HasSubstr("resolvectl dns wg0 10.0.0.53\n"),
                                       ::testing::HasSubstr("resolvectl domain wg0 ~. example.org\n")));
  install("resolvconf");
  EXPECT_EQ(plan_dns("wg0", programs_), Undo(RemoveFromResolvconf{"wg0"}));
}

TEST_F(DnsTest, is_reverted_at_systemd_resolved_as_long_as_there_is_the_link) {
  install("resolvectl");
  serve_resolved();
  unset_resolved("no-such-link", runner_, programs_);
  EXPECT_EQ(said(), "");
  unset_resolved("lo", runner_, programs_);
  EXPECT_THAT(said(), ::testing::HasSubstr("resolvectl revert lo\n"));
}

TEST_F(DnsTest, that_is_refused_is_an_error_that_names_the_program) {
  install("resolvconf", 3);
  const auto plan = plan_dns("wg0", programs_);
  for (const auto& call : std::vector<std::function<void()>>{[&] { set_dns(*plan, {"10.0.0.53"}, runner_, programs_); },
                                                             [&] { unset_resolvconf("wg0", runner_, programs_); }}) {
    try {
      call();
      ADD_FAILURE() << "a failure went unnoticed";
    } catch (const std::runtime_error& error) {
      EXPECT_THAT(error.what(),
                  ::testing::AllOf(::testing::HasSubstr("/resolvconf -"), ::testing::HasSubstr("status 3")));
    }
  }
}

TEST_F(DnsTest, has_nothing_to_take_back_where_the_program_is_gone) {
  EXPECT_NO_THROW(unset_resolvconf("wg0", runner_, programs_));
  EXPECT_NO_THROW(unset_resolved("lo", runner_, programs_));
}

}  // namespace
}  // namespace culvert
