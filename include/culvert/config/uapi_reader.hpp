// The text of WireGuard's cross-platform configuration protocol, operation set=1, line by line.
#pragma once

#include <string_view>

#include "culvert/engine/device_change.hpp"

namespace culvert {

/// What the protocol answers for a line that is wrong. The values are Linux errno numbers, as `wg` reads them.
enum class UapiError : int {
  None = 0,
  Invalid = 22,       ///< EINVAL: unknown key, or a value that does not fit its key
  NotProtocol = 71,   ///< EPROTO: no '=' in the line
};

/// Collects one set operation; nothing takes effect by reading. Longest meaningful line: limits of its longest value, a
/// prefix or endpoint in text. Bounded by peers_max peers; the memory it takes is proportional to what was read.
class UapiReader {
 public:
  /// One line after "set=1", without its end. After an error the operation is lost; read no more.
  [[nodiscard]] UapiError read_line(std::string_view line);
  /// What was collected; the reader starts over.
  [[nodiscard]] DeviceChange take();

 private:
  [[nodiscard]] bool read_device(std::string_view key, std::string_view value);
  [[nodiscard]] bool read_peer(std::string_view key, std::string_view value);

  DeviceChange change_;
};

}  // namespace culvert
