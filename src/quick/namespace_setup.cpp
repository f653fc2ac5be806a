// Network namespaces that are made for tunnels.
#include "culvert/quick/namespace_setup.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <optional>
#include <system_error>

#include "culvert/io/netlink.hpp"
#include "culvert/netns/named_namespaces.hpp"
#include "culvert/netns/pinned_namespace.hpp"

namespace culvert {

namespace {

NetworkNamespace same(const NetworkNamespace& space) {
  const int copy = ::fcntl(space.fd(), F_DUPFD_CLOEXEC, 3);
  if (copy < 0) throw std::system_error(errno, std::system_category(), "duplicating a descriptor");
  return NetworkNamespace::adopt(UniqueFd(copy));
}

}  // namespace

bool is_name_of_namespace(std::string_view specification) noexcept {
  return !specification.empty() && specification != "." && specification != ".." &&
         specification.find('/') == std::string_view::npos && !specification.starts_with("pid:");
}

NetworkNamespace open_or_create_namespace(const std::string& specification) {
  if (specification.empty()) return NetworkNamespace::current();
  const bool is_missing = is_name_of_namespace(specification) &&
                          ::access(path_of_named(specification).c_str(), F_OK) != 0 && errno == ENOENT;
  return is_missing ? NetworkNamespace::create() : NetworkNamespace::open(specification);
}

void name_namespace(const std::string& name, const NetworkNamespace& space, const StepHook& before_step) {
  {
    const ScopedNamespace inside(space);
    Netlink netlink;
    if (const auto lo = netlink.find_link("lo")) netlink.set_up(lo->index, true);
  }
  PinnedNamespace::named(name, same(space), before_step).keep();
}

void remove_namespace(const RemoveNamespace& made) {
  const std::string path = path_of_named(made.name);
  if (::access(path.c_str(), F_OK) != 0) return;
  const auto there = identity_at(path);
  // Without a namespace the file is what a kill in the middle left.
  if (!there || *there == made.identity) remove_pin(path);
}

bool has_lost_its_name(const NetworkNamespace& space) {
  const std::string& name = space.specification();
  return is_name_of_namespace(name) && identity_at(path_of_named(name)) != space.identity();
}

}  // namespace culvert
