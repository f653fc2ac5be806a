// Making, listing and deleting names of network namespaces.
#include "culvert/netns/named_namespaces.hpp"

#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <system_error>

#include "culvert/io/record_folder.hpp"
#include "culvert/netns/pinned_namespace.hpp"

namespace culvert {

std::vector<NamedNamespace> named_namespaces() {
  std::vector<std::string> names = names_in(std::string(named_namespaces_folder));
  std::ranges::sort(names);
  std::vector<NamedNamespace> all;
  all.reserve(names.size());
  for (std::string& name : names) {
    const auto identity = identity_at(path_of_named(name));
    all.push_back({std::move(name), identity});
  }
  return all;
}

std::vector<std::string> names_of(const NamespaceIdentity& identity) {
  std::vector<std::string> names;
  for (NamedNamespace& candidate : named_namespaces()) {
    if (candidate.identity == identity) names.push_back(std::move(candidate.name));
  }
  return names;
}

void add_namespace(const std::string& name, const StepHook& before_step) {
  check_namespace_name(name);
  remove_abandoned_names();
  // An empty namespace takes the kernel a while to make: not for a name that is taken.
  const std::string path = path_of_named(name);
  if (struct stat status{}; ::lstat(path.c_str(), &status) == 0) {
    const std::string by = identity_at(path) ? "" : " by a file without a namespace: 'culvert netns delete' removes it";
    throw std::system_error(EEXIST, std::system_category(),
                            "cannot make network namespace '" + name + "': the name is taken, " + path + by);
  }
  PinnedNamespace::named(name, NetworkNamespace::create(), before_step).keep();
}

void delete_namespace(const std::string& name, const StepHook& before_step) {
  check_namespace_name(name);
  const std::string path = path_of_named(name);
  if (struct stat status{}; ::lstat(path.c_str(), &status) < 0) {
    throw std::system_error(errno, std::system_category(),
                            "cannot delete network namespace '" + name + "', file " + path);
  }
  remove_pin(path, before_step);
}

}  // namespace culvert
