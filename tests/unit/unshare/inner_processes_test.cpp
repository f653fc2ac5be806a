// Unit tests for telling processes of inner PID namespaces.
#include "culvert/unshare/inner_processes.hpp"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include "culvert/unshare/child.hpp"

namespace culvert {
namespace {

TEST(InnerProcesses, this_one_and_those_further_outside_are_not_inside) {
  EXPECT_FALSE(is_further_inside(::getpid()));
  EXPECT_FALSE(is_further_inside(0));
  const pid_t child = ::fork();
  if (child == 0) {
    ::pause();
    ::_exit(0);
  }
  EXPECT_FALSE(is_further_inside(child));
  ::kill(child, SIGKILL);
  ::waitpid(child, nullptr, 0);
  EXPECT_TRUE(is_further_inside(child)) << "who cannot be asked any more is not trusted";
}

TEST(InnerProcesses, one_of_a_namespace_of_its_own_is_inside) {
  NewNamespaces namespaces;
  namespaces.ids = id_map_if_needed(IdMap::Own);
  UnsharedChild child = UnsharedChild::start(namespaces, [](Channel& parent) {
    parent.send('R', is_further_inside(::getpid()) ? "yes" : "no");
    (void)parent.receive();
    return 0;
  });
  (void)child.await('R');
  EXPECT_TRUE(is_further_inside(child.pid()));
}

}  // namespace
}  // namespace culvert
