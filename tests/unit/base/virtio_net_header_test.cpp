// The layout of the header that the kernel puts in front of frames.
#include "culvert/base/virtio_net_header.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstddef>

namespace culvert {
namespace {

TEST(VirtioNetHeader, lies_as_in_the_kernel) {
  EXPECT_EQ(offsetof(VirtioNetHeader, flags), 0U);
  EXPECT_EQ(offsetof(VirtioNetHeader, gso_type), 1U);
  EXPECT_EQ(offsetof(VirtioNetHeader, header_length), 2U);
  EXPECT_EQ(offsetof(VirtioNetHeader, gso_size), 4U);
  EXPECT_EQ(offsetof(VirtioNetHeader, checksum_start), 6U);
  EXPECT_EQ(offsetof(VirtioNetHeader, checksum_offset), 8U);
}

TEST(VirtioNetHeader, comes_back_from_unaligned_bytes) {
  const VirtioNetHeader header{.flags = 1,
                               .gso_type = virtio_net::gso_tcp6,
                               .header_length = 60,
                               .gso_size = 1360,
                               .checksum_start = 40,
                               .checksum_offset = 16};
  std::array<std::byte, 11> bytes{};
  store_virtio_net_header(&bytes[1], header);
  EXPECT_EQ(bytes[2], std::byte{4});
  EXPECT_EQ(load_virtio_net_header(&bytes[1]), header);
}

}  // namespace
}  // namespace culvert
