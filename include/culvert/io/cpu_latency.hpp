// How long processors may take to wake up: the kernel's PM QoS request for CPU latency.
#pragma once

#include "culvert/base/result.hpp"
#include "culvert/io/unique_fd.hpp"

namespace culvert {

/// A request to all processors of the machine, none at first; it ends with the object, and with the process however
/// that ends. Source: Documentation/power/pm_qos_interface.rst of the kernel.
class CpuLatencyRequest {
 public:
  /// Needs the right to write to /dev/cpu_dma_latency.
  [[nodiscard]] static Result<CpuLatencyRequest> open();

  /// From now on idle processors poll instead of halting. They stay there for whoever has work for them.
  void keep_awake() noexcept { write(0); }
  void let_sleep() noexcept;

 private:
  explicit CpuLatencyRequest(UniqueFd fd) noexcept : fd_(std::move(fd)) {}
  void write(int microseconds) noexcept;

  UniqueFd fd_;
};

/// Whether this is a virtual machine whose processors leave it when idle, so that waking one takes the hypervisor's
/// work: the kernel's driver for that is in use (drivers/cpuidle/cpuidle-haltpoll.c).
[[nodiscard]] bool processors_halt_in_hypervisor();

}  // namespace culvert
