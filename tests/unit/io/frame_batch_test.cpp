// Frames given to devices of the running kernel.
#include "culvert/io/frame_batch.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <functional>

#include "support/own_namespace.hpp"
#include "support/packet_builder.hpp"

namespace culvert {
namespace {

using test::in_own_namespace;
using test::output_of;

void with_device(const std::function<void(TunDevice&)>& body) {
  in_own_namespace([&] {
    if (::access("/dev/net/tun", R_OK | W_OK) != 0) GTEST_SKIP() << "/dev/net/tun cannot be used";
    TunDevice device = TunDevice::create("frames0");
    output_of("ip addr add 10.9.0.1/24 dev frames0; ip link set frames0 up");
    body(device);
  });
}

std::vector<std::byte> packet() {
  return PacketBuilder{*Address::parse("10.9.0.2"), *Address::parse("10.9.0.1")}.udp_of_size(100);
}

// What the kernel has received from the device.
unsigned received_by_kernel() {
  const std::string line = output_of("awk '$1 == \"frames0:\" {print $3}' /proc/net/dev");
  return line.empty() ? 0 : static_cast<unsigned>(std::stoul(line));
}

TEST(FrameBatch, writes_each_frame_at_once) {
  with_device([](TunDevice& device) {
    FrameBatch batch;
    batch.set_device(&device);
    for (unsigned i = 1; i <= 3; ++i) {
      auto frame = packet();
      batch.put(frame);
      EXPECT_EQ(received_by_kernel(), i);
    }
    EXPECT_EQ(batch.refused(), 0u);
  });
}

TEST(FrameBatch, loses_and_counts_frames_while_there_is_no_device) {
  FrameBatch batch;
  auto frame = packet();
  batch.put(frame);
  batch.put(frame);
  EXPECT_EQ(batch.refused(), 2u);
}

TEST(FrameBatch, loses_only_the_frame_that_the_kernel_does_not_take) {
  with_device([](TunDevice& device) {
    FrameBatch batch;
    batch.set_device(&device);
    auto nonsense = packet();
    nonsense[0] = std::byte{0x95};  // IP version 9
    auto frame = packet();
    batch.put(nonsense);
    batch.put(frame);
    EXPECT_EQ(batch.refused(), 1u);
    EXPECT_EQ(received_by_kernel(), 1u);
  });
}

TEST(FrameBatch, counts_what_a_device_that_is_down_or_deleted_does_not_take) {
  with_device([](TunDevice& device) {
    FrameBatch batch;
    batch.set_device(&device);
    auto frame = packet();
    output_of("ip link set frames0 down");
    batch.put(frame);
    EXPECT_EQ(batch.refused(), 1u);
    output_of("ip link del frames0");
    batch.put(frame);
    EXPECT_EQ(batch.refused(), 2u);
  });
}

TEST(FrameBatch, does_not_touch_a_device_it_was_taken_from) {
  with_device([](TunDevice& device) {
    FrameBatch batch;
    batch.set_device(&device);
    batch.set_device(nullptr);
    auto frame = packet();
    batch.put(frame);
    EXPECT_EQ(batch.refused(), 1u);
    EXPECT_EQ(received_by_kernel(), 0u);
  });
}

}  // namespace
}  // namespace culvert
