// A byte string as the script of some flows, with damage anywhere, through Coalescer and then Segmenter: every frame
// comes back, unchanged but for IDs that mean nothing, and in the order of its flow.
#include <algorithm>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "require.hpp"
#include "support/flow_packet.hpp"
#include "support/gathered_frames.hpp"

namespace culvert {
namespace {

using Bytes = std::vector<std::byte>;

class Script {
 public:
  explicit Script(ByteView bytes) : bytes_(bytes) {}
  [[nodiscard]] bool is_over() const { return bytes_.empty(); }
  std::uint8_t next() {
    if (bytes_.empty()) return 0;
    const auto value = std::to_integer<std::uint8_t>(bytes_[0]);
    bytes_ = bytes_.subspan(1);
    return value;
  }

 private:
  ByteView bytes_;
};

/// Frames by all that says whose they are, as it lies there, without what re-segmenting may change: the ID of an IPv4
/// packet that must not be fragmented, and so its checksum.
std::map<std::string, std::vector<Bytes>> by_flow(std::vector<Bytes> frames, std::size_t l2_length) {
  std::map<std::string, std::vector<Bytes>> flows;
  for (Bytes& frame : frames) {
    const ByteSpan packet = ByteSpan(frame).subspan(std::min(l2_length, frame.size()));
    const bool is_v4 = !packet.empty() && (packet[0] >> 4) == std::byte{4};
    Bytes key;
    if (packet.size() >= (is_v4 ? 24 : 44)) {
      const ByteView ends = is_v4 ? packet.subspan(12, 12) : packet.subspan(8, 36);
      key.assign(frame.data(), packet.data());
      key.push_back(is_v4 ? packet[0] : packet[0] >> 4);
      key.push_back(packet[is_v4 ? 9 : 6]);
      key.insert(key.end(), ends.begin(), ends.end());
      if (is_v4 && (packet[6] & std::byte{0x40}) != std::byte{0}) {
        const std::uint16_t difference = PacketBuilder::checksum(packet.first(20));
        store<Be16>(&packet[4], std::uint16_t{0});
        store<Be16>(&packet[10], difference);
      }
    }
    flows[std::string(reinterpret_cast<const char*>(key.data()), key.size())].push_back(std::move(frame));
  }
  return flows;
}

void run(Script script) {
  static constexpr std::size_t l2_lengths[] = {0, 14, 18, 22};
  const std::uint8_t kind = script.next();
  const std::size_t l2_length = l2_lengths[kind % 4];
  GatheredFrames out;
  const CoalescerSettings settings{
      .tcp4 = (kind & 4) == 0, .tcp6 = (kind & 8) == 0, .udp = (kind & 16) == 0, .is_ethernet = l2_length != 0};
  Coalescer coalescer(settings, out);
  std::vector<FlowPacket> flows(4);
  for (std::size_t i = 0; i < flows.size(); ++i) {
    flows[i].is_v4 = i % 2 == 0;
    flows[i].is_tcp = i / 2 == 0;
    flows[i].l2 = FlowPacket::ethernet(l2_length, flows[i].is_v4);
    if ((kind & 32) != 0) flows[i].tcp_options.resize(12);
    if ((kind & 64) != 0) flows[i].fragment = 0;
  }

  std::deque<Bytes> memory;
  std::vector<Bytes> originals;
  for (int count = 0; count < 300 && !script.is_over(); ++count) {
    const std::uint8_t step = script.next();
    FlowPacket& flow = flows[step % 4];
    flow = flow.next((step & 4) == 0 ? 50 : script.next());
    FlowPacket sent = flow;
    if ((step & 8) != 0) sent.flags = script.next();
    Bytes frame = sent.build();
    if ((step & 16) != 0) frame[script.next() % frame.size()] ^= std::byte{script.next()};
    if ((step & 32) != 0) frame.resize(script.next() % (frame.size() + 4));
    if (frame.empty()) continue;
    originals.push_back(frame);
    memory.push_back(std::move(frame));
    coalescer.put(memory.back());
    if (step >= 0xc0) coalescer.flush();
  }
  coalescer.flush();

  std::vector<Bytes> arrived;
  for (const auto& write : out.writes) {
    require(write.pieces <= Coalescer::max_pieces, "a write has a bounded number of pieces");
    require(write.frame.size() <= 65535 || write.pieces == 1, "a super-frame is no longer than it can say");
    if (write.header == VirtioNetHeader{}) {
      require(write.pieces == 1, "what is not merged is whole");
      arrived.push_back(write.frame);
      continue;
    }
    const auto frames = GatheredFrames::segmented(write, l2_length != 0);
    require(frames.size() == write.pieces && frames.size() >= 2, "a super-frame stands for what went into it");
    arrived.insert(arrived.end(), frames.begin(), frames.end());
  }
  require(by_flow(arrived, l2_length) == by_flow(originals, l2_length),
          "every frame arrives, in the order of its flow");
}

}  // namespace
}  // namespace culvert

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  culvert::run(culvert::Script(culvert::ByteView(reinterpret_cast<const std::byte*>(data), size)));
  return 0;
}
