// Frames given to devices of the running kernel.
#include "culvert/runtime/device_writer.hpp"

#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <array>
#include <functional>

#include "culvert/base/virtio_net_header.hpp"
#include "culvert/forwarding/ethernet_header.hpp"
#include "support/flow_packet.hpp"
#include "support/own_namespace.hpp"
#include "support/packet_builder.hpp"

// What becomes of each write of a device on this thread, told whether it is of a super-frame: an error, 0 to let it
// pass.
thread_local std::function<int(bool)> scripted_write;

// Takes the place of libc's, so that a test can be a kernel that does not take super-frames.
extern "C" ssize_t writev(int fd, const iovec* pieces, int count) {
  if (scripted_write && pieces[0].iov_len == culvert::virtio_net_header_size) {
    const auto header = culvert::load_virtio_net_header(static_cast<const std::byte*>(pieces[0].iov_base));
    if (const int error = scripted_write(header.gso_type != culvert::virtio_net::gso_none)) {
      errno = error;
      return -1;
    }
  }
  return ::syscall(SYS_writev, fd, pieces, count);
}

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

// A device that takes super-frames, a writer to it, and packets of one UDP flow, with a socket that they reach.
class MergingDevice {
 public:
  TunDevice device;
  DeviceWriter writer;

  explicit MergingDevice(DeviceLayer layer) : device(TunDevice::create("frames0", true, 1, layer)) {
    if (layer == DeviceLayer::Ethernet) {
      packet_.l2 = FlowPacket::ethernet(ethernet_header_size, true);
      device.mac_address()->copy_to(packet_.l2);
    }
    output_of("ip addr add 10.0.0.1/24 dev frames0; ip link set frames0 up");
    writer.set_device(&device);
    packet_.payload = FlowPacket::bytes(1000);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(packet_.destination_port);
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address), 0);
  }
  // Hands over `count` frames, the last of a burst if `is_last`.
  void put_burst(std::size_t count, bool is_last = true) {
    for (std::size_t i = 0; i < count; ++i) {
      frames_.push_back(packet_.build());
      packet_ = packet_.next(1000);
      writer.put(frames_.back());
    }
    if (!is_last) return;
    writer.flush();
    frames_.clear();
  }
  // UDP datagrams that have reached the socket so far.
  long datagrams() {
    std::array<std::byte, 2000> datagram;
    while (::recv(listener_.get(), datagram.data(), datagram.size(), MSG_DONTWAIT) > 0) ++datagrams_;
    return datagrams_;
  }

 private:
  long datagrams_ = 0;
  UniqueFd listener_{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
  FlowPacket packet_{.is_tcp = false, .source_host = 2, .destination_host = 1};
  std::vector<std::vector<std::byte>> frames_;
};

void with_merging_device(const std::function<void(MergingDevice&)>& body, DeviceLayer layer = DeviceLayer::Ip) {
  in_own_namespace([&] {
    if (::access("/dev/net/tun", R_OK | W_OK) != 0) GTEST_SKIP() << "/dev/net/tun cannot be used";
    MergingDevice merging(layer);
    if (!merging.device.offloads().udp) GTEST_SKIP() << merging.device.offloads().missing;
    body(merging);
    scripted_write = nullptr;
  });
}

TEST(DeviceWriter, merges_the_frames_of_one_burst_into_one_write) {
  with_merging_device([](MergingDevice& merging) {
    merging.put_burst(10, false);
    EXPECT_EQ(merging.writer.writes(), 0U) << "before the flush";
    merging.put_burst(2);
    EXPECT_EQ(merging.writer.writes(), 1U);
    EXPECT_EQ(merging.datagrams(), 12);
    merging.put_burst(1);
    EXPECT_EQ(merging.writer.writes(), 2U);
    merging.put_burst(0);
    EXPECT_EQ(merging.writer.writes(), 2U);
    EXPECT_EQ(merging.datagrams(), 13);
    EXPECT_EQ(merging.writer.refused(), 0U);
    EXPECT_EQ(merging.writer.refusal(), "");
  });
}

TEST(DeviceWriter, merges_ethernet_frames_and_writes_them_one_by_one_if_they_are_refused) {
  with_merging_device(
      [](MergingDevice& merging) {
        merging.put_burst(12);
        EXPECT_EQ(merging.writer.writes(), 1U);
        EXPECT_EQ(merging.datagrams(), 12);
        scripted_write = [](bool is_super_frame) { return is_super_frame ? EINVAL : 0; };
        merging.put_burst(10);
        EXPECT_EQ(merging.datagrams(), 22);
        EXPECT_EQ(merging.writer.refused(), 0U);
      },
      DeviceLayer::Ethernet);
}

TEST(DeviceWriter, writes_frame_by_frame_what_is_refused_as_one_and_merges_no_more) {
  for (const int error : {EINVAL, EIO, EMSGSIZE}) {
    with_merging_device([error](MergingDevice& merging) {
      scripted_write = [error](bool is_super_frame) { return is_super_frame ? error : 0; };
      merging.put_burst(10);
      EXPECT_EQ(merging.datagrams(), 10) << error;
      EXPECT_EQ(merging.writer.refused(), 0U);
      EXPECT_THAT(std::string(merging.writer.refusal()), ::testing::HasSubstr("refused"));

      scripted_write = nullptr;
      const auto before = merging.writer.writes();
      merging.put_burst(10);
      EXPECT_EQ(merging.writer.writes(), before + 10);
      EXPECT_EQ(merging.datagrams(), 20);
      EXPECT_NE(merging.writer.refusal(), "");

      merging.writer.set_device(&merging.device);
      EXPECT_EQ(merging.writer.refusal(), "") << "a device set anew is tried anew";
      merging.put_burst(10);
      EXPECT_EQ(merging.writer.writes(), before + 11);
    });
  }
}

TEST(DeviceWriter, writes_a_refused_super_frame_with_the_bytes_it_was_made_of) {
  with_merging_device([](MergingDevice& merging) {
    const UniqueFd raw(::socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP));
    scripted_write = [](bool is_super_frame) { return is_super_frame ? EINVAL : 0; };
    FlowPacket packet{.source_host = 2, .destination_host = 1};
    packet.payload = FlowPacket::bytes(1000);
    std::vector<std::vector<std::byte>> frames;
    for (int i = 0; i < 4; ++i) {
      frames.push_back(packet.build());
      packet = packet.next(i == 2 ? 100 : 1000);
    }
    auto handed_over = frames;
    for (auto& frame : handed_over) merging.writer.put(frame);
    merging.writer.flush();
    for (const auto& frame : frames) {
      std::vector<std::byte> arrived(2000);
      arrived.resize(static_cast<std::size_t>(std::max<ssize_t>(0, ::recv(raw.get(), arrived.data(), 2000, 0))));
      EXPECT_EQ(arrived, frame);
    }
  });
}

TEST(DeviceWriter, counts_each_frame_of_a_burst_that_a_device_that_is_down_does_not_take_and_goes_on_merging) {
  with_merging_device([](MergingDevice& merging) {
    output_of("ip link set frames0 down");
    merging.put_burst(10);
    EXPECT_EQ(merging.writer.refused(), 10U);
    EXPECT_EQ(merging.writer.refusal(), "");
    output_of("ip link set frames0 up");
    const auto before = merging.writer.writes();
    merging.put_burst(10);
    EXPECT_EQ(merging.writer.writes(), before + 1);
    EXPECT_EQ(merging.datagrams(), 10);
    output_of("ip link del frames0");
    merging.put_burst(10);
    EXPECT_EQ(merging.writer.refused(), 20U);
  });
}

TEST(DeviceWriter, counts_the_frames_of_a_refused_super_frame_that_are_not_taken_one_by_one_either) {
  with_merging_device([](MergingDevice& merging) {
    int singles = 0;
    scripted_write = [&](bool is_super_frame) { return is_super_frame || singles++ % 3 == 0 ? EINVAL : 0; };
    merging.put_burst(10);
    EXPECT_EQ(merging.writer.refused(), 4U);
    EXPECT_EQ(merging.datagrams(), 6);
  });
}

TEST(DeviceWriter, an_error_that_has_nothing_to_do_with_merging_costs_the_frames_at_hand_only) {
  with_merging_device([](MergingDevice& merging) {
    scripted_write = [](bool) { return ENOMEM; };
    merging.put_burst(10);
    EXPECT_EQ(merging.writer.refused(), 10U);
    EXPECT_EQ(merging.writer.writes(), 1U);
    scripted_write = nullptr;
    merging.put_burst(10);
    EXPECT_EQ(merging.writer.writes(), 2U);
    EXPECT_EQ(merging.writer.refusal(), "");
  });
}

TEST(DeviceWriter, loses_and_counts_a_burst_after_its_device_was_taken_away) {
  with_merging_device([](MergingDevice& merging) {
    merging.writer.set_device(nullptr);
    merging.put_burst(10);
    EXPECT_EQ(merging.writer.refused(), 10U);
    EXPECT_EQ(merging.datagrams(), 0);
  });
}

}  // namespace
}  // namespace culvert
