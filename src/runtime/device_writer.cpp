// Merging and writing frames.
#include "culvert/runtime/device_writer.hpp"

#include <cerrno>
#include <cstring>

#include "culvert/forwarding/ethernet_header.hpp"
#include "culvert/forwarding/segmenter.hpp"

namespace culvert {
namespace {

/// The most that a Coalescer merges.
constexpr std::size_t super_frame_max = 65535;

}  // namespace

void DeviceWriter::set_device(TunDevice* device) {
  device_ = device;
  was_refused_ = false;
  coalescer_.reset();
  scratch_.reset();
  if (!device || !device->offloads().tcp) return;
  CoalescerSettings settings;
  settings.udp = device->offloads().udp;
  settings.is_ethernet = device->layer() == DeviceLayer::Ethernet;
  coalescer_.emplace(settings, static_cast<GatheredFrameSink&>(*this));
  scratch_ = std::make_unique_for_overwrite<std::byte[]>(super_frame_max);
}

void DeviceWriter::put(ByteSpan frame) noexcept {
  if (coalescer_) return coalescer_->put(frame);
  const ByteView piece = frame;
  put(GatheredFrame{{}, std::span(&piece, 1)});
}

void DeviceWriter::flush() noexcept {
  if (!coalescer_) return;
  coalescer_->flush();
  if (was_refused_) coalescer_.reset();
}

void DeviceWriter::put(const GatheredFrame& frame) noexcept {
  ++writes_;
  const auto done =
      device_ ? device_->try_write(frame) : Result<void>(make_error_code(boost::system::errc::no_such_device));
  if (done) return;
  const int error = done.error().value();
  const bool is_merged = frame.header.gso_type != virtio_net::gso_none;
  // EIO is also what a device says that is down; then it does not take the single frames either.
  const bool may_be_merging = error == EINVAL || error == EIO || error == EMSGSIZE;
  if (is_merged && may_be_merging && write_split(frame)) {
    was_refused_ = true;
  } else {
    refused_ += frame.pieces.size();  // each is one frame's payload
  }
}

bool DeviceWriter::write_split(const GatheredFrame& frame) noexcept {
  std::size_t size = 0;
  for (const ByteView piece : frame.pieces) {
    if (piece.size() > super_frame_max - size) return false;
    std::memcpy(scratch_.get() + size, piece.data(), piece.size());
    size += piece.size();
  }
  std::size_t l2_length = 0;
  if (device_->layer() == DeviceLayer::Ethernet) {
    const auto header = parse_ethernet_header(ByteView(scratch_.get(), size));
    if (!header) return false;
    l2_length = header->length;
  }
  Segmenter segmenter;
  if (!segmenter.begin(frame.header, ByteSpan(scratch_.get(), size), l2_length)) return false;
  std::size_t taken = 0;
  for (ByteSpan next = segmenter.next(); !next.empty(); next = segmenter.next()) {
    const ByteView piece = next;
    ++writes_;
    taken += device_->try_write(GatheredFrame{{}, std::span(&piece, 1)}).has_value();
  }
  if (taken == 0) return false;
  refused_ += segmenter.count() - taken;
  return true;
}

std::string_view DeviceWriter::refusal() const noexcept {
  return was_refused_ ? "the kernel refused a merged frame" : std::string_view();
}

}  // namespace culvert
