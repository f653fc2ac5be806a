// Two interfaces of which each gives out what goes into the other, in namespaces of their own.
#pragma once

#include <optional>
#include <string>

#include "culvert/netns/interface.hpp"

namespace culvert {

/// One end before it is made.
struct VethEndWish {
  const NetworkNamespace& space;
  std::string name;  ///< empty: the first of veth0, veth1 … that is free there
};

struct VethEnd {
  Interface interface;
  std::string name;
};

/// A veth pair, which goes with this object unless kept; move-only. It keeps both namespaces alive. When somebody
/// deletes one end, or the last of one end's namespace is gone, the kernel removes both; when somebody has moved both
/// away, they are left to him.
class VethPair {
 public:
  /// Each end is made where it belongs and seen nowhere else; both are down. Throws std::invalid_argument for what
  /// cannot be a name, std::system_error that names the interface and the namespace: EEXIST for a name that is taken,
  /// EPERM without CAP_NET_ADMIN there. `group` is the left end's.
  static VethPair make(const VethEndWish& left, const VethEndWish& right, std::optional<std::uint32_t> mtu = {},
                       std::uint32_t group = 0);

  VethPair(VethPair&& other) noexcept;
  VethPair& operator=(VethPair&&) = delete;
  ~VethPair();

  [[nodiscard]] const VethEnd& left() const noexcept { return left_.end; }
  [[nodiscard]] const VethEnd& right() const noexcept { return right_.end; }
  /// The pair outlives this object.
  void keep() noexcept { left_.netlink.reset(), right_.netlink.reset(); }

 private:
  struct Side {
    VethEnd end;
    std::optional<Netlink> netlink;
  };
  VethPair(Side left, Side right) : left_(std::move(left)), right_(std::move(right)) {}
  static bool remove(Side& side, const Side& other) noexcept;

  Side left_, right_;
};

}  // namespace culvert
