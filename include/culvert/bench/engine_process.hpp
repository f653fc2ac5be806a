// A tunnel's end in a process of its own, as `culvert run` is one, so that what it costs can be told apart.
#pragma once

#include <sys/types.h>

#include <string>

#include "culvert/bench/engine_cost.hpp"
#include "culvert/config/config_file.hpp"
#include "culvert/netns/network_namespace.hpp"
#include "culvert/unshare/child.hpp"

namespace culvert {

/// Ends with this object, and when the calling thread ends. Move-only.
class EngineProcess {
 public:
  /// Device and socket are in `space`; the device is called `device`. To be called by a process with one thread. What
  /// the tunnel wants to remember goes to the folder `state`. Throws std::runtime_error with what kept it from coming
  /// up.
  static EngineProcess start(const NetworkNamespace& space, Config config, const std::string& device,
                             const std::string& state);

  [[nodiscard]] pid_t pid() const noexcept { return child_.pid(); }
  /// Throws std::runtime_error when it has ended.
  [[nodiscard]] EngineCost cost();
  [[nodiscard]] const EnginePaths& paths() const noexcept { return paths_; }

 private:
  EngineProcess(UnsharedChild child, EnginePaths paths) : child_(std::move(child)), paths_(std::move(paths)) {}
  UnsharedChild child_;
  EnginePaths paths_;
};

}  // namespace culvert
