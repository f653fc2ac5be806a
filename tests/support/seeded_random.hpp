// Random bytes that are the same in every run.
#pragma once

#include <cstddef>
#include <cstdint>

#include "culvert/base/random.hpp"

namespace culvert {

/// SplitMix64 (Steele, Lea and Flood, 2014) from a seed: equal seeds and equal sequences of calls give equal bytes, on
/// every platform. Calls for pieces and one call for all of them give the same bytes.
class SeededRandom final : public Random {
 public:
  explicit SeededRandom(std::uint64_t seed) noexcept : state_(seed) {}

  void fill(ByteSpan out) noexcept override {
    for (std::byte& byte : out) {
      if (left_ == 0) {
        word_ = next_word();
        left_ = sizeof word_;
      }
      byte = static_cast<std::byte>(word_);
      word_ >>= 8;
      --left_;
    }
  }

 private:
  std::uint64_t next_word() noexcept {
    state_ += 0x9e3779b97f4a7c15;
    std::uint64_t mixed = state_;
    mixed = (mixed ^ (mixed >> 30)) * 0xbf58476d1ce4e5b9;
    mixed = (mixed ^ (mixed >> 27)) * 0x94d049bb133111eb;
    return mixed ^ (mixed >> 31);
  }

  std::uint64_t state_;
  std::uint64_t word_ = 0;
  std::size_t left_ = 0;
};

}  // namespace culvert
