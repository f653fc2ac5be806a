// Samples of instruction pointers, sorted by what lies there.
#include "culvert/bench/time_profile.hpp"

#include <dlfcn.h>
#include <linux/perf_event.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fstream>
#include <sstream>
#include <string_view>
#include <system_error>
#include <unordered_map>
#include <utility>

namespace culvert {
namespace {

constexpr std::uint64_t samples_per_second = 1999;  // not in step with timers
constexpr std::size_t ring_pages = 64;              // a power of two; some seconds
constexpr std::uint64_t samples_min = 50;

// arch/x86/lib, lib/iov_iter.c and what other architectures and older kernels call the same.
constexpr std::array<std::string_view, 18> copying_functions{"rep_movs_alternative",
                                                             "memcpy",
                                                             "memcpy_orig",
                                                             "__memcpy",
                                                             "memmove",
                                                             "__memmove",
                                                             "memcpy_erms",
                                                             "_copy_from_iter",
                                                             "_copy_to_iter",
                                                             "copy_user_generic",
                                                             "copy_user_generic_string",
                                                             "copy_user_enhanced_fast_string",
                                                             "copy_user_generic_unrolled",
                                                             "csum_partial_copy_generic",
                                                             "csum_and_copy_to_iter",
                                                             "__arch_copy_from_user",
                                                             "__arch_copy_to_user",
                                                             "copy_page_to_iter"};
constexpr std::array<std::string_view, 3> crypto_libraries{"libcrypto", "libgcrypt", "libsodium"};

UniqueFd open_event(pid_t process) noexcept {
  perf_event_attr attributes{};
  attributes.size = sizeof attributes;
  attributes.type = PERF_TYPE_SOFTWARE;
  attributes.config = PERF_COUNT_SW_CPU_CLOCK;
  attributes.freq = 1;
  attributes.sample_freq = samples_per_second;
  attributes.sample_type = PERF_SAMPLE_IP;
  attributes.disabled = 1;
  attributes.exclude_hv = 1;
  return UniqueFd(static_cast<int>(::syscall(SYS_perf_event_open, &attributes, process, -1, -1, PERF_FLAG_FD_CLOEXEC)));
}

bool is_crypto(std::uint64_t address) {
  Dl_info info{};
  if (::dladdr(reinterpret_cast<void*>(address), &info) == 0 || !info.dli_fname) return false;
  const std::string_view path = info.dli_fname;
  const std::string_view name = path.substr(path.rfind('/') + 1);
  return std::ranges::any_of(crypto_libraries, [&](std::string_view library) { return name.starts_with(library); });
}

}  // namespace

KernelSymbols KernelSymbols::load() {
  std::ifstream file("/proc/kallsyms");
  std::ostringstream text;
  text << file.rdbuf();
  return KernelSymbols(text.str());
}

KernelSymbols::KernelSymbols(const std::string& text) {
  std::string_view rest = text;
  while (!rest.empty()) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    std::uint64_t address = 0;
    const auto [end, failed] = std::from_chars(line.data(), line.data() + line.size(), address, 16);
    if (failed != std::errc() || address == 0) continue;
    const std::string_view words = line.substr(static_cast<std::size_t>(end - line.data()));
    if (words.size() < 4) continue;
    const std::string_view name = words.substr(3, words.find_first_of(" \t", 3) - 3);
    starts_.push_back({address, std::ranges::find(copying_functions, name) != copying_functions.end()});
  }
  // Of two names for one function either counts.
  std::ranges::sort(starts_, [](const Start& a, const Start& b) {
    return std::pair(a.address, a.copies) < std::pair(b.address, b.copies);
  });
}

bool KernelSymbols::is_copying(std::uint64_t address) const noexcept {
  const auto after = std::ranges::upper_bound(starts_, address, {}, &Start::address);
  return after != starts_.begin() && std::prev(after)->copies;
}

struct TimeProfile::Ring {
  UniqueFd event;
  void* memory = nullptr;
  std::size_t size = 0;

  explicit Ring(pid_t process) : event(open_event(process)) {
    if (!event.is_open())
      throw std::system_error(errno, std::system_category(), "sampling process " + std::to_string(process));
    size = (1 + ring_pages) * static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
    memory = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, event.get(), 0);
    if (memory == MAP_FAILED) {
      memory = nullptr;
      throw std::system_error(errno, std::system_category(),
                              "mapping the samples of process " + std::to_string(process));
    }
  }
  ~Ring() {
    if (memory) ::munmap(memory, size);
  }
  Ring(Ring&& other) noexcept
      : event(std::move(other.event)), memory(std::exchange(other.memory, nullptr)), size(other.size) {}
  Ring& operator=(Ring&&) = delete;

  /// Calls take(address, is_in_kernel) for each sample.
  template <class Take>
  void read(const Take& take) const {
    auto& head = *static_cast<perf_event_mmap_page*>(memory);
    const auto* const data = static_cast<const std::byte*>(memory) + head.data_offset;
    const std::uint64_t end = std::atomic_ref(head.data_head).load(std::memory_order_acquire);
    const auto copy = [&](std::uint64_t at, void* to, std::size_t count) {
      for (std::size_t i = 0; i < count; ++i) static_cast<std::byte*>(to)[i] = data[(at + i) % head.data_size];
    };
    for (std::uint64_t at = head.data_tail; at < end;) {
      perf_event_header header{};
      copy(at, &header, sizeof header);
      if (header.size == 0) return;
      if (header.type == PERF_RECORD_SAMPLE) {
        std::uint64_t address = 0;
        copy(at + sizeof header, &address, sizeof address);
        take(address, (header.misc & PERF_RECORD_MISC_CPUMODE_MASK) == PERF_RECORD_MISC_KERNEL);
      }
      at += header.size;
    }
  }
};

std::optional<std::string> TimeProfile::obstacle() {
  if (open_event(::getpid()).is_open()) return std::nullopt;
  return "the kernel does not let this user see where time goes in it (" + std::string(std::strerror(errno)) +
         "; as root, or with sysctl kernel.perf_event_paranoid=1, it does)";
}

TimeProfile::TimeProfile(const KernelSymbols& symbols, std::span<const pid_t> processes) : symbols_(symbols) {
  for (const pid_t process : processes) rings_.emplace_back(process);
  for (const Ring& ring : rings_) ::ioctl(ring.event.get(), PERF_EVENT_IOC_ENABLE, 0);
}

TimeProfile::~TimeProfile() = default;

std::optional<TimeShares> TimeProfile::end() {
  for (const Ring& ring : rings_) ::ioctl(ring.event.get(), PERF_EVENT_IOC_DISABLE, 0);
  std::array<std::uint64_t, 4> counts{};
  std::unordered_map<std::uint64_t, bool> known;
  for (const Ring& ring : rings_) {
    ring.read([&](std::uint64_t address, bool is_in_kernel) {
      if (is_in_kernel) {
        ++counts[symbols_.is_copying(address) ? 2 : 3];
        return;
      }
      const auto [found, is_new] = known.try_emplace(address, false);
      if (is_new) found->second = is_crypto(address);
      ++counts[found->second ? 0 : 1];
    });
  }
  const auto all = static_cast<double>(counts[0] + counts[1] + counts[2] + counts[3]);
  if (all < static_cast<double>(samples_min)) return std::nullopt;
  const auto share = [&](std::size_t i) { return static_cast<double>(counts[i]) / all; };
  return TimeShares{share(0), share(1), share(2), share(3)};
}

}  // namespace culvert
