// The PM QoS request for CPU latency.
#include "culvert/io/cpu_latency.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <fstream>
#include <string>

namespace culvert {
namespace {

// PM_QOS_CPU_LATENCY_DEFAULT_VALUE in include/linux/pm_qos.h: no demand.
constexpr int no_demand = 2'000'000'000;

}  // namespace

Result<CpuLatencyRequest> CpuLatencyRequest::open() {
  UniqueFd fd(::open("/dev/cpu_dma_latency", O_WRONLY | O_CLOEXEC));
  if (!fd.is_open()) return boost::system::error_code(errno, boost::system::system_category());
  CpuLatencyRequest request(std::move(fd));
  // Opening alone demands nothing less than the default, which some kernels have set to zero.
  request.let_sleep();
  return request;
}

void CpuLatencyRequest::let_sleep() noexcept {
  write(no_demand);
}

void CpuLatencyRequest::write(int microseconds) noexcept {
  // A request that is not taken leaves things as they are, which costs latency only.
  const auto value = static_cast<std::int32_t>(microseconds);
  [[maybe_unused]] const auto written = ::write(fd_.get(), &value, sizeof value);
}

bool processors_halt_in_hypervisor() {
  std::ifstream file("/sys/devices/system/cpu/cpuidle/current_driver");
  std::string driver;
  return std::getline(file, driver) && driver == "haltpoll";
}

}  // namespace culvert
