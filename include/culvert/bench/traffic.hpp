// How much has gone through one end of a trial so far, for whoever watches a limit.
#pragma once

#include <atomic>
#include <cstdint>

namespace culvert {

/// Of UDP, whether it counts in the trial or not; bytes are those of payloads. Written by one thread, read by any.
struct Traffic {
  std::atomic<std::uint64_t> read_packets = 0, read_bytes = 0;
  std::atomic<std::uint64_t> sent_packets = 0, sent_bytes = 0;

  void read(std::uint64_t packets, std::uint64_t bytes) noexcept { add(read_packets, packets, read_bytes, bytes); }
  void sent(std::uint64_t packets, std::uint64_t bytes) noexcept { add(sent_packets, packets, sent_bytes, bytes); }

 private:
  static void add(std::atomic<std::uint64_t>& all_packets, std::uint64_t packets, std::atomic<std::uint64_t>& all_bytes,
                  std::uint64_t bytes) noexcept {
    all_packets.fetch_add(packets, std::memory_order_relaxed);
    all_bytes.fetch_add(bytes, std::memory_order_relaxed);
  }
};

}  // namespace culvert
