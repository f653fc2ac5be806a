// The links of a namespace as a tree.
#include "branches.hpp"

#include <set>

namespace culvert::topology {

namespace {

class Growing {
 public:
  Growing(const Topology& topology, std::size_t space) : space_(topology.namespaces[space]), number_(space) {}

  std::vector<Branch> grow() {
    std::vector<Branch> roots = below(0);
    // What was looked at while it changed may be its own ancestor.
    for (const Link& link : space_.links) {
      if (!grown_.contains(link.index)) roots.push_back(branch(link));
    }
    return roots;
  }

 private:
  std::uint32_t above(const Link& link) const {
    if (link.master != 0 && space_.find(link.master) != nullptr) return link.master;
    const bool is_made_on = link.lower_at && link.kind != "veth" && link.lower_at->space == number_;
    return is_made_on && space_.find(link.lower_at->index) != nullptr ? link.lower_at->index : 0;
  }

  std::vector<Branch> below(std::uint32_t index) {
    std::vector<Branch> found;
    for (const Link& link : space_.links) {
      if (above(link) == index && !grown_.contains(link.index)) found.push_back(branch(link));
    }
    return found;
  }

  Branch branch(const Link& link) {
    grown_.insert(link.index);
    return {&link, below(link.index)};
  }

  const Namespace& space_;
  std::size_t number_;
  std::set<std::uint32_t> grown_;
};

}  // namespace

std::vector<Branch> branches_of(const Topology& topology, std::size_t space) {
  return Growing(topology, space).grow();
}

}  // namespace culvert::topology
