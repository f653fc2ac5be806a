// Random bytes that a test chose beforehand.
#pragma once

#include <cstddef>
#include <cstdlib>
#include <vector>

#include "culvert/base/random.hpp"

namespace culvert {

/// Gives back the bytes it was told, in order; aborts when asked for more.
class ScriptedRandom final : public Random {
 public:
  void expect(ByteView bytes) { script_.insert(script_.end(), bytes.begin(), bytes.end()); }
  [[nodiscard]] bool is_exhausted() const noexcept { return position_ == script_.size(); }

  void fill(ByteSpan out) noexcept override {
    if (out.size() > script_.size() - position_) std::abort();
    copy_bytes(ByteView(script_).subspan(position_, out.size()), out);
    position_ += out.size();
  }

 private:
  std::vector<std::byte> script_;
  std::size_t position_ = 0;
};

}  // namespace culvert
