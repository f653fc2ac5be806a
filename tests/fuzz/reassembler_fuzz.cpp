// Pieces of frames from two peers, in any order and of any content, against frames put together by hand.
#include <map>
#include <utility>
#include <vector>

#include "culvert/protocol/fragment.hpp"
#include "culvert/protocol/reassembler.hpp"
#include "require.hpp"

namespace culvert {
namespace {

using Bytes = std::vector<std::byte>;

/// What one peer may find complete: bytes by offset, as taken first.
struct Model {
  std::size_t total = 0;
  std::map<std::size_t, std::byte> bytes;
};

/// Each input is a list of: peer, milliseconds passed, length of the body (two bytes), body.
void run(ByteView input) {
  Reassembler reassembler;
  ReassemblyPlace places[2];
  std::map<std::pair<std::size_t, std::uint32_t>, Model> models;
  Timestamp now(std::chrono::hours(1));
  while (input.size() >= 4) {
    const std::size_t peer = std::to_integer<std::size_t>(input[0]) % 2;
    now += std::chrono::milliseconds(std::to_integer<int>(input[1]));
    const std::size_t length = std::min<std::size_t>(load<Le16>(&input[2]), input.size() - 4);
    const ByteView body = input.subspan(4, length);
    input = input.subspan(4 + length);
    const auto fragment = parse_fragment(body);
    if (fragment.has_error()) {
      require(fragment.error() == DropReason::BadFragment, "the reason");
      continue;
    }
    require(fragment->offset + fragment->piece.size() <= fragment->total, "a piece lies in its frame");
    const auto outcome = reassembler.add(places[peer], *fragment, now);
    require(!outcome.refused || outcome.frame.empty(), "a piece that was refused completes nothing");
    if (outcome.refused) continue;
    Model& model = models[{peer, fragment->frame}];
    // Given up meanwhile, and begun anew.
    if (model.total != fragment->total) model = {fragment->total, {}};
    for (std::size_t i = 0; i < fragment->piece.size(); ++i) model.bytes[fragment->offset + i] = fragment->piece[i];
    if (outcome.frame.empty()) continue;
    require(outcome.frame.size() == model.total && model.bytes.size() == model.total, "a complete frame is whole");
    for (std::size_t i = 0; i < model.total; ++i) require(outcome.frame[i] == model.bytes[i], "and as it was sent");
    models.erase({peer, fragment->frame});
  }
  require(reassembler.place_count() <= 2, "two peers have two places");
}

}  // namespace
}  // namespace culvert

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  culvert::run({reinterpret_cast<const std::byte*>(data), size});
  return 0;
}
