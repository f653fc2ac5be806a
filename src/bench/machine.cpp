// Kernel, processor, memory, libraries.
#include "culvert/bench/machine.hpp"

#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include <boost/version.hpp>
#include <fstream>
#include <string_view>

#include "culvert/crypto/aead.hpp"
#include "culvert/crypto/cipher_suite.hpp"
#include "culvert/runtime/device_setup.hpp"

namespace culvert {
namespace {

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

/// The value of the first line of /proc/cpuinfo whose name is one of these: it depends on the architecture.
std::string of_cpuinfo(std::initializer_list<std::string_view> names) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    const std::size_t colon = line.find(':');
    if (colon == std::string::npos) continue;
    const std::string_view name = std::string_view(line).substr(0, line.find_last_not_of(" \t", colon - 1) + 1);
    for (const std::string_view wanted : names) {
      if (name == wanted) return line.substr(std::min(line.size(), line.find_first_not_of(" \t", colon + 1)));
    }
  }
  return {};
}

std::string virtualization() {
  if (std::string type = first_line("/sys/hypervisor/type"); !type.empty()) return type;
  if (of_cpuinfo({"flags"}).find("hypervisor") == std::string::npos) return {};
  const std::string product = first_line("/sys/class/dmi/id/product_name");
  return product.empty() ? "virtual machine" : "virtual machine (" + product + ")";
}

}  // namespace

Machine describe_machine(const std::string& culvert_version) {
  Machine machine;
  machine.culvert = culvert_version;
  utsname system{};
  if (::uname(&system) == 0) machine.kernel = std::string(system.sysname) + " " + system.release + " " + system.machine;
  machine.cpu = of_cpuinfo({"model name", "Model", "cpu model", "uarch"});
  machine.virtualization = virtualization();
  machine.cpus = static_cast<unsigned>(processors_allowed());
  struct sysinfo info {};
  if (::sysinfo(&info) == 0) machine.memory = static_cast<std::uint64_t>(info.totalram) * info.mem_unit;
  for (const CipherSuite suite : {CipherSuite::ChaCha20Poly1305, CipherSuite::Aes256Gcm}) {
    machine.versions.emplace_back(to_string(suite), is_usable(suite) ? aead_library(suite) : "not usable here");
  }
  machine.versions.emplace_back("boost", BOOST_LIB_VERSION);
  machine.versions.emplace_back("compiler", __VERSION__);
  return machine;
}

}  // namespace culvert
