// Frames given to devices of the running kernel.
#include "culvert/runtime/device_writer.hpp"

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

TEST(DeviceWriter, writes_each_frame_at_once) {
  with_device([](TunDevice& device) {
    DeviceWriter writer;
    writer.set_device(&device);
    for (unsigned i = 1; i <= 3; ++i) {
      auto frame = packet();
      writer.put(frame);
      EXPECT_EQ(received_by_kernel(), i);
    }
    EXPECT_EQ(writer.refused(), 0u);
  });
}

TEST(DeviceWriter, loses_and_counts_frames_while_there_is_no_device) {
  DeviceWriter writer;
  auto frame = packet();
  writer.put(frame);
  writer.put(frame);
  EXPECT_EQ(writer.refused(), 2u);
}

TEST(DeviceWriter, loses_only_the_frame_that_the_kernel_does_not_take) {
  with_device([](TunDevice& device) {
    DeviceWriter writer;
    writer.set_device(&device);
    auto nonsense = packet();
    nonsense[0] = std::byte{0x95};  // IP version 9
    auto frame = packet();
    writer.put(nonsense);
    writer.put(frame);
    EXPECT_EQ(writer.refused(), 1u);
    EXPECT_EQ(received_by_kernel(), 1u);
  });
}

TEST(DeviceWriter, counts_what_a_device_that_is_down_or_deleted_does_not_take) {
  with_device([](TunDevice& device) {
    DeviceWriter writer;
    writer.set_device(&device);
    auto frame = packet();
    output_of("ip link set frames0 down");
    writer.put(frame);
    EXPECT_EQ(writer.refused(), 1u);
    output_of("ip link del frames0");
    writer.put(frame);
    EXPECT_EQ(writer.refused(), 2u);
  });
}

TEST(DeviceWriter, does_not_touch_a_device_it_was_taken_from) {
  with_device([](TunDevice& device) {
    DeviceWriter writer;
    writer.set_device(&device);
    writer.set_device(nullptr);
    auto frame = packet();
    writer.put(frame);
    EXPECT_EQ(writer.refused(), 1u);
    EXPECT_EQ(received_by_kernel(), 0u);
  });
}

}  // namespace
}  // namespace culvert
