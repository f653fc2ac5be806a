// Links of a network namespace with their addresses, ready to be printed.
#pragma once

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string>
#include <vector>

#include "culvert/netns/interface.hpp"

namespace culvert {

/// What there was at a moment, but for addresses and ports, which are asked for when they are wanted. Throws
/// std::system_error.
class LinkReport {
 public:
  explicit LinkReport(const NetworkNamespace& space);

  /// By number.
  [[nodiscard]] const std::vector<InterfaceFacts>& links() const { return links_; }
  /// Null: there is none with this number.
  [[nodiscard]] const InterfaceFacts* find(std::uint32_t index) const;

  [[nodiscard]] std::string line_about(const InterfaceFacts& link);
  /// Lines, each with its end.
  [[nodiscard]] std::string lines_about_ports(const InterfaceFacts& bridge);
  /// Members as `ip -j address` has them.
  [[nodiscard]] boost::json::object object_about(const InterfaceFacts& link);
  /// Members as `bridge -j link` has them.
  [[nodiscard]] boost::json::array ports_of(const InterfaceFacts& bridge);

 private:
  [[nodiscard]] std::string words_about_other(const InterfaceFacts& link) const;

  Netlink netlink_;
  std::vector<InterfaceFacts> links_;
};

}  // namespace culvert
