// TUN devices of the running kernel.
#include "culvert/io/tun_device.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <linux/if_tun.h>
#include <linux/udp.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include <functional>
#include <map>
#include <set>
#include <sstream>
#include <system_error>

#include "culvert/base/endian.hpp"
#include "culvert/io/socket_address.hpp"
#include "support/expect_system_error.hpp"
#include "support/flow_packet.hpp"
#include "support/own_namespace.hpp"
#include "support/packet_builder.hpp"
#include "support/restrictions.hpp"

namespace culvert {
namespace {

using test::expect_system_error;
using test::in_own_namespace;
using test::output_of;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

// The test's own network, where the TUN driver can be used.
void with_tun(const std::function<void()>& body) {
  in_own_namespace([&] {
    if (::access("/dev/net/tun", R_OK | W_OK) != 0) GTEST_SKIP() << "/dev/net/tun cannot be used";
    body();
  });
}

// What the kernel says of a descriptor of /dev/net/tun that belongs to no device; std::errc has no name for it.
const std::error_code not_attached(EBADFD, std::system_category());

template <class T>
int error_of(const Result<T>& result) {
  return result.has_error() ? result.error().value() : 0;
}

std::array<std::byte, 2048> memory;

// An IPv4 packet with `size` bytes in all and protocol number 253 (RFC 3692: experiments).
std::vector<std::byte> ipv4_packet(std::size_t size) {
  std::vector<std::byte> packet(size);
  packet[0] = std::byte{0x45};
  packet[2] = static_cast<std::byte>(size >> 8);
  packet[3] = static_cast<std::byte>(size);
  packet[8] = std::byte{64};
  packet[9] = std::byte{253};
  const std::array<int, 8> addresses{10, 9, 0, 2, 10, 9, 0, 1};
  for (std::size_t i = 0; i < addresses.size(); ++i) packet[12 + i] = static_cast<std::byte>(addresses[i]);
  unsigned sum = 0;
  for (std::size_t i = 0; i < 20; i += 2)
    sum += std::to_integer<unsigned>(packet[i]) << 8 | std::to_integer<unsigned>(packet[i + 1]);
  sum = (sum & 0xffff) + (sum >> 16);
  sum = ~sum & 0xffff;
  packet[10] = static_cast<std::byte>(sum >> 8);
  packet[11] = static_cast<std::byte>(sum);
  return packet;
}

void bring_up(const std::string& name) {
  output_of("ip addr add 10.9.0.1/24 dev " + name + "; ip link set " + name + " up");
}

// Lets the kernel send one UDP datagram with `size` bytes of payload through the device.
void send_through_kernel(std::size_t size) {
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(9);
  to.sin_addr.s_addr = htonl(0x0A090002);
  const std::vector<std::byte> payload(size, std::byte{0x5A});
  ASSERT_EQ(::sendto(socket.get(), payload.data(), size, 0, reinterpret_cast<sockaddr*>(&to), sizeof to),
            static_cast<ssize_t>(size));
}

// Reads until a frame of IP version 4 comes: an interface that goes up sends some IPv6 of its own.
Result<std::size_t> read_ipv4(TunDevice& device, ByteSpan buffer) {
  for (;;) {
    const auto size = device.try_read(buffer);
    if (!size || std::to_integer<int>(buffer[0]) >> 4 == 4) return size;
  }
}

TEST(TunDevice, is_seen_by_others_under_its_name_while_it_exists) {
  with_tun([] {
    {
      const auto device = TunDevice::create("cv-test0");
      EXPECT_EQ(device.name(), "cv-test0");
      EXPECT_THAT(output_of("ip -details link show cv-test0"), HasSubstr("tun type tun pi off vnet_hdr off"));
    }
    EXPECT_THAT(output_of("ip link"), Not(HasSubstr("cv-test0")));
  });
}

TEST(TunDevice, descriptor_does_not_block_and_is_not_inherited) {
  with_tun([] {
    const auto device = TunDevice::create("cv0");
    EXPECT_NE(::fcntl(device.fd(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(::fcntl(device.fd(), F_GETFD) & FD_CLOEXEC, 0);
  });
}

TEST(TunDevice, refuses_a_name_that_another_program_uses) {
  with_tun([] {
    const auto device = TunDevice::create("cv0");
    expect_system_error([] { TunDevice::create("cv0"); }, std::errc::device_or_resource_busy,
                        AllOf(HasSubstr("'cv0'"), HasSubstr("exists already"), HasSubstr("choose another name")));
  });
}

TEST(TunDevice, refuses_the_name_of_an_interface_of_another_kind) {
  with_tun([] {
    expect_system_error([] { TunDevice::create("lo"); }, std::errc::device_or_resource_busy,
                        HasSubstr("exists already"));
  });
}

TEST(TunDevice, does_not_take_over_a_persistent_device) {
  with_tun([] {
    output_of("ip tuntap add dev cv0 mode tun");
    expect_system_error([] { TunDevice::create("cv0"); }, std::errc::device_or_resource_busy,
                        HasSubstr("exists already"));
  });
}

TEST(TunDevice, takes_a_name_of_15_bytes_and_refuses_16) {
  with_tun([] {
    EXPECT_EQ(TunDevice::create("cv3456789012345").name(), "cv3456789012345");
    expect_system_error([] { TunDevice::create("cv34567890123456"); }, std::errc::filename_too_long,
                        HasSubstr("15 bytes"));
  });
}

TEST(TunDevice, refuses_names_the_kernel_would_refuse_or_change) {
  with_tun([] {
    for (const char* name : {"", ".", "..", "a/b", "a:b", "a b", "a\tb", "tun%d"}) {
      SCOPED_TRACE(name);
      expect_system_error([&] { TunDevice::create(name); }, std::errc::invalid_argument,
                          HasSubstr(std::string("'").append(name).append("'")));
    }
    expect_system_error([] { TunDevice::create(std::string("a\0b", 3)); }, std::errc::invalid_argument,
                        HasSubstr("1 to 15"));
  });
}

TEST(TunDevice, says_what_to_do_when_the_device_file_is_missing) {
  in_own_namespace([] {
    struct stat folder {};
    if (::stat("/dev/net", &folder) == 0) {
      ASSERT_EQ(::mount("tmpfs", "/dev/net", "tmpfs", 0, nullptr), 0) << std::strerror(errno);
    }
    expect_system_error([] { TunDevice::create("cv0"); }, std::errc::no_such_file_or_directory,
                        AllOf(HasSubstr("/dev/net/tun"), HasSubstr("modprobe tun"), HasSubstr("mknod")));
  });
}

TEST(TunDevice, says_what_to_do_when_permission_is_missing) {
  with_tun([] {
    test::drop_capability(CAP_NET_ADMIN);
    expect_system_error([] { TunDevice::create("cv0"); }, std::errc::operation_not_permitted,
                        AllOf(HasSubstr("'cv0'"), HasSubstr("CAP_NET_ADMIN")));
  });
}

TEST(TunDevice, has_nothing_to_read_at_first) {
  with_tun([] {
    auto device = TunDevice::create("cv0");
    EXPECT_EQ(error_of(device.try_read(memory)), EAGAIN);
  });
}

TEST(TunDevice, reads_the_packets_that_the_kernel_routes_into_it) {
  with_tun([] {
    auto device = TunDevice::create("cv0");
    bring_up("cv0");
    send_through_kernel(100);
    const auto size = read_ipv4(device, memory);
    ASSERT_EQ(error_of(size), 0);
    EXPECT_EQ(*size, 128U);
    EXPECT_EQ(memory[127], std::byte{0x5A});
    EXPECT_EQ(error_of(read_ipv4(device, memory)), EAGAIN);
  });
}

TEST(TunDevice, a_frame_that_fills_the_buffer_was_cut_off_in_silence) {
  with_tun([] {
    auto device = TunDevice::create("cv0");
    bring_up("cv0");
    send_through_kernel(1000);
    const auto size = read_ipv4(device, ByteSpan(memory).first(60));
    ASSERT_EQ(error_of(size), 0);
    EXPECT_EQ(*size, 60U);
  });
}

TEST(TunDevice, packets_written_to_it_reach_the_kernel) {
  with_tun([] {
    auto device = TunDevice::create("cv0");
    bring_up("cv0");
    const UniqueFd raw(::socket(AF_INET, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, 253));
    const auto packet = ipv4_packet(120);
    ASSERT_EQ(error_of(device.try_write(packet)), 0);
    std::vector<std::byte> arrived(200);
    ASSERT_EQ(::recv(raw.get(), arrived.data(), arrived.size(), 0), 120) << std::strerror(errno);
    arrived.resize(120);
    EXPECT_EQ(arrived, packet);
  });
}

TEST(TapDevice, carries_ethernet_frames_both_ways) {
  with_tun([] {
    for (const bool with_offloads : {false, true}) {
      auto device = TunDevice::create("cv0", with_offloads, 1, DeviceLayer::Ethernet);
      EXPECT_EQ(device.layer(), DeviceLayer::Ethernet);
      EXPECT_EQ(TunDevice::create("cv1").layer(), DeviceLayer::Ip);
      EXPECT_THAT(output_of("ip link show cv0"), HasSubstr("link/ether"));
      output_of("ip link set cv0 up; ip addr add 10.9.0.1/24 dev cv0");
      // The kernel asks for a neighbour: the only frames that are no IPv6.
      send_through_kernel(100);
      bool has_asked = false;
      for (;;) {
        VirtioNetHeader header;
        const auto size = device.try_read(header, memory);
        if (!size) break;
        ASSERT_GE(*size, 42U);
        has_asked = has_asked || load<Be16>(&memory[12]) == 0x0806;
      }
      EXPECT_TRUE(has_asked);
      std::vector<std::byte> frame(60, std::byte{0xff});
      EXPECT_EQ(error_of(device.try_write(frame)), 0);
      EXPECT_EQ(error_of(device.try_write(ByteView(frame).first(13))), EINVAL) << "no Ethernet header";
    }
  });
}

TEST(TapDevice, tells_its_address_and_another_that_it_is_given) {
  with_tun([] {
    auto device = TunDevice::create("cv0", false, 1, DeviceLayer::Ethernet);
    ASSERT_TRUE(device.mac_address());
    EXPECT_THAT(output_of("ip link show cv0"), HasSubstr("link/ether " + device.mac_address()->to_string()));
    output_of("ip link set cv0 address 02:00:00:00:12:34");
    EXPECT_EQ(*device.mac_address(), MacAddress(0x020000001234));
    output_of("ip link del cv0");
    EXPECT_EQ(error_of(device.mac_address()), EBADFD);
  });
}

TEST(TapDevice, has_queues_and_offloads_as_a_tun_device_has) {
  with_tun([] {
    auto device = TunDevice::create("cv0", true, 3, DeviceLayer::Ethernet);
    ASSERT_EQ(device.queue_count(), 3U);
    for (std::size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(device.queue(i).layer(), DeviceLayer::Ethernet);
      EXPECT_TRUE(device.queue(i).offloads().virtio_net_header);
      EXPECT_TRUE(device.queue(i).offloads().tcp);
    }
  });
}

TEST(TunDevice, refuses_packets_while_it_is_down) {
  with_tun([] {
    auto device = TunDevice::create("cv0");
    EXPECT_EQ(error_of(device.try_write(ipv4_packet(100))), EIO);
    bring_up("cv0");
    EXPECT_EQ(error_of(device.try_write(ipv4_packet(100))), 0);
    output_of("ip link set cv0 down");
    EXPECT_EQ(error_of(device.try_write(ipv4_packet(100))), EIO);
    while (device.try_read(memory)) {
    }
    EXPECT_EQ(error_of(device.try_read(memory)), EAGAIN);
  });
}

TEST(TunDevice, what_is_no_packet_costs_that_write_only) {
  with_tun([] {
    auto device = TunDevice::create("cv0");
    bring_up("cv0");
    EXPECT_EQ(error_of(device.try_write(ByteView())), EINVAL);
    EXPECT_EQ(error_of(device.try_write(std::vector<std::byte>(40))), EINVAL);
    EXPECT_EQ(error_of(device.try_write(ipv4_packet(100))), 0);
  });
}

TEST(TunDevice, tells_when_it_was_deleted_and_still_knows_its_name) {
  with_tun([] {
    auto device = TunDevice::create("cv0");
    bring_up("cv0");
    output_of("ip link del cv0");
    EXPECT_EQ(error_of(device.try_read(memory)), EBADFD);
    EXPECT_EQ(error_of(device.try_write(ipv4_packet(100))), EBADFD);
    EXPECT_EQ(error_of(device.network_namespace()), EBADFD);
    EXPECT_EQ(device.name(), "cv0");
    pollfd waiting{device.fd(), POLLIN, 0};
    EXPECT_EQ(::poll(&waiting, 1, 0), 1);
    EXPECT_NE(waiting.revents & POLLERR, 0);
  });
}

TEST(TunDevice, follows_a_change_of_its_name) {
  with_tun([] {
    const auto device = TunDevice::create("cv0");
    output_of("ip link set cv0 name renamed");
    EXPECT_EQ(device.name(), "renamed");
    output_of("ip link del renamed");
    EXPECT_EQ(device.name(), "renamed");
  });
}

ino_t inode_of(int fd) {
  struct stat status {};
  EXPECT_EQ(::fstat(fd, &status), 0) << std::strerror(errno);
  return status.st_ino;
}

UniqueFd open_present_namespace() {
  return UniqueFd(::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
}

TEST(TunDevice, knows_the_namespace_it_is_in_also_after_a_move) {
  with_tun([] {
    const auto device = TunDevice::create("cv0");
    const UniqueFd home = open_present_namespace();
    ASSERT_EQ(::unshare(CLONE_NEWNET), 0);
    const UniqueFd away = open_present_namespace();
    ASSERT_EQ(::setns(home.get(), CLONE_NEWNET), 0);

    const auto before = device.network_namespace();
    ASSERT_EQ(error_of(before), 0);
    EXPECT_EQ(inode_of(before->get()), inode_of(home.get()));
    EXPECT_NE(::fcntl(before->get(), F_GETFD) & FD_CLOEXEC, 0);

    output_of("ip link set cv0 netns /proc/" + std::to_string(::getpid()) + "/fd/" + std::to_string(away.get()));
    const auto after = device.network_namespace();
    ASSERT_EQ(error_of(after), 0);
    EXPECT_EQ(inode_of(after->get()), inode_of(away.get()));
  });
}

UniqueFd attach(int flags) {
  UniqueFd fd(::open("/dev/net/tun", O_RDWR));
  ifreq request{};
  std::strcpy(request.ifr_name, "other0");
  request.ifr_flags = static_cast<short>(flags);
  EXPECT_EQ(::ioctl(fd.get(), TUNSETIFF, &request), 0) << std::strerror(errno);
  return fd;
}

TEST(TunDevice, adopts_a_device_that_somebody_else_attached) {
  with_tun([] {
    const auto device = TunDevice::adopt(attach(IFF_TUN | IFF_NO_PI));
    EXPECT_EQ(device.name(), "other0");
    EXPECT_NE(::fcntl(device.fd(), F_GETFL) & O_NONBLOCK, 0);
    EXPECT_NE(::fcntl(device.fd(), F_GETFD) & FD_CLOEXEC, 0);
  });
}

TEST(TunDevice, does_not_adopt_what_is_no_device) {
  with_tun([] {
    expect_system_error([] { TunDevice::adopt(UniqueFd(::open("/dev/null", O_RDWR | O_CLOEXEC))); },
                        std::errc::inappropriate_io_control_operation, HasSubstr("not attached"));
    expect_system_error([] { TunDevice::adopt(UniqueFd(::open("/dev/net/tun", O_RDWR | O_CLOEXEC))); }, not_attached,
                        HasSubstr("not attached"));
  });
}

TEST(TunDevice, does_not_adopt_a_device_whose_frames_have_another_form) {
  with_tun([] {
    for (const int flags : {IFF_TAP | IFF_NO_PI, IFF_TUN | IFF_NO_PI | IFF_VNET_HDR}) {
      SCOPED_TRACE(flags);
      expect_system_error([&] { TunDevice::adopt(attach(flags)); }, std::errc::invalid_argument,
                          AllOf(HasSubstr("'other0'"), HasSubstr("IFF_NO_PI")));
    }
  });
}

std::vector<UniqueFd> copies_of(const std::vector<int>& descriptors) {
  std::vector<UniqueFd> copies;
  for (const int fd : descriptors) copies.emplace_back(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  return copies;
}

TEST(TunDevice, is_the_same_in_another_process_that_is_given_its_descriptors) {
  with_tun([] {
    for (const std::size_t queues : {std::size_t{1}, std::size_t{3}}) {
      for (const bool with_offloads : {false, true}) {
        for (const DeviceLayer layer : {DeviceLayer::Ip, DeviceLayer::Ethernet}) {
          std::optional<TunDevice> maker(TunDevice::create("tun-a", with_offloads, queues, layer));
          const DeviceOffloads offloads = maker->offloads();
          TunDevice taker = TunDevice::assemble(copies_of(maker->descriptors()));
          maker.reset();
          EXPECT_EQ(taker.name(), "tun-a");
          EXPECT_EQ(taker.layer(), layer);
          EXPECT_EQ(taker.queue_count(), queues);
          EXPECT_EQ(taker.offloads().virtio_net_header, offloads.virtio_net_header);
          EXPECT_EQ(taker.offloads().tcp, offloads.tcp);
          EXPECT_EQ(taker.offloads().udp, offloads.udp);
          EXPECT_EQ(taker.queue(queues - 1).offloads().tcp, offloads.tcp);
          EXPECT_NE(::if_nametoindex("tun-a"), 0U) << "the device lives as long as the taker";
        }
      }
    }
  });
}

TEST(TunDevice, is_not_made_of_other_descriptors) {
  with_tun([] {
    EXPECT_THROW((void)TunDevice::assemble({}), std::system_error);
    EXPECT_THROW((void)TunDevice::assemble(copies_of({STDERR_FILENO})), std::system_error);
    const TunDevice plain = TunDevice::create("tun-a");
    EXPECT_THROW((void)TunDevice::assemble(copies_of({plain.fd(), plain.fd()})), std::system_error);
    const TunDevice queues = TunDevice::create("tun-b", false, 2);
    std::vector<int> descriptors = queues.descriptors();
    descriptors.pop_back();
    EXPECT_THROW((void)TunDevice::assemble(copies_of(descriptors)), std::system_error);
  });
}

TEST(TunDevice, says_that_an_adopted_device_has_no_offloads_and_why) {
  with_tun([] {
    const auto device = TunDevice::adopt(attach(IFF_TUN | IFF_NO_PI));
    EXPECT_FALSE(device.offloads().virtio_net_header || device.offloads().tcp || device.offloads().udp);
    EXPECT_THAT(std::string(device.offloads().missing), HasSubstr("IFF_VNET_HDR"));
  });
}

TEST(TunDevice, has_offloads_only_when_asked_for_them) {
  with_tun([] {
    const auto plain = TunDevice::create("cv0");
    EXPECT_FALSE(plain.offloads().virtio_net_header || plain.offloads().tcp || plain.offloads().udp);
    EXPECT_EQ(plain.offloads().missing, "");
    const auto device = TunDevice::create("cv1", true);
    EXPECT_TRUE(device.offloads().virtio_net_header && device.offloads().tcp);
    EXPECT_EQ(device.offloads().missing.empty(), device.offloads().udp);
    EXPECT_THAT(output_of("ip -details link show cv1"), HasSubstr("vnet_hdr on"));
  });
}

TEST(TunDevice, says_what_the_kernel_refuses_of_the_offloads) {
  with_tun([] {
    // TUN_F_CSUM, TUN_F_TSO4 and TUN_F_TSO6 with TUN_F_USO4 and TUN_F_USO6: as on a kernel before Linux 6.2.
    test::fail_system_call(SYS_ioctl, EINVAL, 0x67, 2);
    const auto device = TunDevice::create("cv0", true);
    EXPECT_TRUE(device.offloads().virtio_net_header && device.offloads().tcp);
    EXPECT_FALSE(device.offloads().udp);
    EXPECT_THAT(std::string(device.offloads().missing), HasSubstr("6.2"));
  });
  with_tun([] {
    test::fail_system_call(SYS_ioctl, EINVAL, static_cast<std::uint32_t>(TUNSETOFFLOAD), 1);
    const auto device = TunDevice::create("cv0", true);
    EXPECT_TRUE(device.offloads().virtio_net_header);
    EXPECT_FALSE(device.offloads().tcp || device.offloads().udp);
    EXPECT_THAT(std::string(device.offloads().missing), HasSubstr("refuses"));
  });
}

// A device with offloads at 10.0.0.1 and fd00::1, where FlowPackets of source_host 2 and destination_host 1 arrive.
void with_offloads(const std::function<void(TunDevice&)>& body) {
  with_tun([&] {
    auto device = TunDevice::create("cv0", true);
    if (!device.offloads().udp) GTEST_SKIP() << device.offloads().missing;
    output_of("ip addr add 10.0.0.1/24 dev cv0 && ip addr add fd00::1/64 dev cv0 nodad && ip link set cv0 mtu 1420 up");
    body(device);
  });
}

struct ReadFrame {
  VirtioNetHeader header;
  std::vector<std::byte> bytes;
  [[nodiscard]] bool is_v4() const { return std::to_integer<int>(bytes[0]) >> 4 == 4; }
  [[nodiscard]] int protocol() const { return std::to_integer<int>(bytes[is_v4() ? 9 : 6]); }
  [[nodiscard]] std::size_t transport() const { return is_v4() ? 20 : 40; }
};

// The next frame of `protocol` from the device.
ReadFrame read_frame(TunDevice& device, int protocol) {
  ReadFrame frame;
  for (;;) {
    frame.bytes.resize(65536);
    const auto size = device.try_read(frame.header, frame.bytes);
    if (!size) {
      ADD_FAILURE() << "there is no such frame: " << size.error().message();
      frame.bytes.assign(100, {});
      return frame;
    }
    frame.bytes.resize(*size);
    if (frame.protocol() == protocol) return frame;
  }
}

UniqueFd connect_to(const char* text, std::uint16_t port, int type, std::uint16_t local_port = 0) {
  const Address to = Address::parse(text).value();
  UniqueFd fd(::socket(to.is_v4() ? AF_INET : AF_INET6, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  sockaddr_storage address{};
  if (local_port != 0) {
    const socklen_t length =
        to_socket_address({Address::from_bytes(to.family(), std::array<std::byte, 16>{}), local_port, 0}, address);
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), length), 0) << std::strerror(errno);
  }
  const socklen_t length = to_socket_address({to, port, 0}, address);
  const int result = ::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), length);
  EXPECT_TRUE(result == 0 || errno == EINPROGRESS) << std::strerror(errno);
  return fd;
}

// The test is the other end of a TCP connection that the kernel has opened through the device.
struct OtherEnd {
  OtherEnd(TunDevice& device, const char* address)
      : fd(connect_to(address, 443, SOCK_STREAM)), syn(read_frame(device, IPPROTO_TCP)) {
    packet.is_v4 = syn.is_v4();
    packet.source_host = 2;
    packet.destination_host = 1;
    packet.source_port = 443;
    packet.destination_port = load<Be16>(&syn.bytes[syn.transport()]);
    packet.sequence = 1000;
    packet.acknowledgement = load<Be32>(&syn.bytes[syn.transport() + 4]) + 1;
    packet.flags = 0x12;
    packet.window = 65535;
    packet.tcp_options = {std::byte{2}, std::byte{4}, std::byte{5}, std::byte{0x50}};  // MSS 1360
    EXPECT_EQ(error_of(device.try_write(packet.build())), 0);
    read_frame(device, IPPROTO_TCP);
    packet.tcp_options.clear();
    packet.flags = 0x10;
    ++packet.sequence;
  }
  UniqueFd fd;
  ReadFrame syn;
  FlowPacket packet;
};

TEST(TunDevice, reads_a_large_write_of_a_tcp_socket_as_one_frame) {
  for (const char* address : {"10.0.0.2", "fd00::2"}) {
    SCOPED_TRACE(address);
    with_offloads([address](TunDevice& device) {
      const OtherEnd other(device, address);
      const auto payload = FlowPacket::bytes(10000);
      ASSERT_EQ(::send(other.fd.get(), payload.data(), payload.size(), 0), 10000);
      const ReadFrame frame = read_frame(device, IPPROTO_TCP);
      EXPECT_EQ(frame.header.gso_type, frame.is_v4() ? virtio_net::gso_tcp4 : virtio_net::gso_tcp6);
      EXPECT_EQ(frame.header.flags & virtio_net::needs_checksum, 1);
      EXPECT_EQ(frame.header.checksum_start, frame.transport());
      EXPECT_EQ(frame.header.checksum_offset, 16);
      EXPECT_GT(frame.header.gso_size, 1000);
      EXPECT_LE(frame.header.gso_size, 1360);
      EXPECT_GT(frame.bytes.size(), 5000U);
    });
  }
}

TEST(TunDevice, reads_a_train_of_a_udp_socket_as_one_frame) {
  for (const char* address : {"10.0.0.2", "fd00::2"}) {
    SCOPED_TRACE(address);
    with_offloads([address](TunDevice& device) {
      const UniqueFd socket = connect_to(address, 9, SOCK_DGRAM);
      const int size = 1000;
      ASSERT_EQ(::setsockopt(socket.get(), IPPROTO_UDP, UDP_SEGMENT, &size, sizeof size), 0) << std::strerror(errno);
      const auto payload = FlowPacket::bytes(4100);
      ASSERT_EQ(::send(socket.get(), payload.data(), payload.size(), 0), 4100) << std::strerror(errno);
      const ReadFrame frame = read_frame(device, IPPROTO_UDP);
      EXPECT_EQ(frame.header.gso_type, virtio_net::gso_udp_l4);
      EXPECT_EQ(frame.header.gso_size, 1000);
      EXPECT_EQ(frame.header.checksum_start, frame.transport());
      EXPECT_EQ(frame.header.checksum_offset, 6);
      ASSERT_EQ(frame.bytes.size(), frame.transport() + 8 + 4100);
      EXPECT_TRUE(std::equal(payload.begin(), payload.end(), frame.bytes.end() - 4100));
    });
  }
}

TEST(TunDevice, leaves_single_frames_and_their_headers_as_they_are_without_offloads) {
  with_tun([] {
    auto device = TunDevice::create("cv0");
    bring_up("cv0");
    send_through_kernel(100);
    VirtioNetHeader header{.flags = 1, .gso_type = 1, .header_length = 1, .gso_size = 1};
    auto size = device.try_read(header, memory);
    while (size && std::to_integer<int>(memory[0]) >> 4 != 4) size = device.try_read(header, memory);
    ASSERT_EQ(error_of(size), 0);
    EXPECT_EQ(*size, 128U);
    EXPECT_EQ(header, VirtioNetHeader{});
  });
}

// What the kernel counted under each name of /proc/net/snmp, as "Tcp.InSegs"; names only IPv6 has are as they are.
std::map<std::string, long> network_counters() {
  std::map<std::string, long> counters;
  std::istringstream lines(output_of("cat /proc/net/snmp /proc/net/snmp6"));
  for (std::string names; std::getline(lines, names);) {
    std::istringstream words(names);
    std::string group, name;
    long value = 0;
    words >> group;
    if (group.back() != ':') {
      words >> counters[group];
      continue;
    }
    std::string values;
    std::getline(lines, values);
    std::istringstream numbers(values);
    numbers >> name;
    group.back() = '.';
    while (words >> name && numbers >> value) counters[group + name] = value;
  }
  return counters;
}

// All there is to receive at once, and nothing of it found wrong by the kernel.
std::vector<std::byte> received_without_error(int fd, std::size_t size) {
  std::vector<std::byte> all(size);
  std::size_t at = 0;
  while (at < size) {
    pollfd readable{fd, POLLIN, 0};
    if (::poll(&readable, 1, 2000) != 1) break;
    const ssize_t more = ::recv(fd, &all[at], size - at, 0);
    if (more <= 0) break;
    at += static_cast<std::size_t>(more);
  }
  all.resize(at);
  const auto counters = network_counters();
  for (const char* name : {"Tcp.InCsumErrors", "Udp.InCsumErrors", "Udp6InCsumErrors", "Udp.InErrors", "Udp6InErrors",
                           "Ip.InHdrErrors", "Ip6InHdrErrors", "Tcp.InErrs"}) {
    EXPECT_EQ(counters.at(name), 0) << name;
  }
  return all;
}

// The pieces of `frame` as a writer has them that got the frames one by one: the first whole, of the others the
// payload.
std::vector<ByteView> gathered(ByteView frame, std::size_t header_size, std::size_t gso_size) {
  std::vector<ByteView> pieces{frame.first(std::min(frame.size(), header_size + gso_size))};
  for (ByteView rest = frame.subspan(pieces[0].size()); !rest.empty();) {
    pieces.push_back(rest.first(std::min(rest.size(), gso_size)));
    rest = rest.subspan(pieces.back().size());
  }
  return pieces;
}

TEST(TunDevice, a_gathered_tcp_frame_arrives_at_a_socket) {
  for (const char* address : {"10.0.0.2", "fd00::2"}) {
    SCOPED_TRACE(address);
    with_offloads([address](TunDevice& device) {
      OtherEnd other(device, address);
      other.packet.payload = FlowPacket::bytes(20000);
      const auto frame = other.packet.build_partial();
      const auto pieces = gathered(frame, other.packet.header_size(), 1360);
      EXPECT_EQ(pieces.size(), 15U);
      ASSERT_EQ(error_of(device.try_write(GatheredFrame{other.packet.super_header(1360), pieces})), 0);
      EXPECT_EQ(received_without_error(other.fd.get(), 20000), other.packet.payload);
    });
  }
}

TEST(TunDevice, a_gathered_udp_frame_arrives_as_separate_datagrams) {
  for (const char* address : {"10.0.0.2", "fd00::2"}) {
    SCOPED_TRACE(address);
    with_offloads([address](TunDevice& device) {
      const UniqueFd socket = connect_to(address, 4000, SOCK_DGRAM, 5000);
      FlowPacket packet{.is_v4 = address[0] == '1', .is_tcp = false};
      packet.source_host = 2;
      packet.destination_host = 1;
      packet.source_port = 4000;
      packet.destination_port = 5000;
      packet.payload = FlowPacket::bytes(3200);
      const auto frame = packet.build_partial();
      const auto pieces = gathered(frame, packet.header_size(), 1000);
      ASSERT_EQ(error_of(device.try_write(GatheredFrame{packet.super_header(1000), pieces})), 0);
      EXPECT_EQ(received_without_error(socket.get(), 3200), packet.payload);
      const auto counters = network_counters();
      EXPECT_EQ(counters.at(packet.is_v4 ? "Udp.InDatagrams" : "Udp6InDatagrams"), 4);
    });
  }
}

TEST(TunDevice, a_single_frame_needs_no_header_on_a_device_with_offloads) {
  with_offloads([](TunDevice& device) {
    const UniqueFd socket = connect_to("10.0.0.2", 4000, SOCK_DGRAM, 5000);
    FlowPacket packet{.is_tcp = false, .source_host = 2, .destination_host = 1};
    packet.source_port = 4000;
    packet.destination_port = 5000;
    packet.payload = FlowPacket::bytes(100);
    ASSERT_EQ(error_of(device.try_write(packet.build())), 0);
    EXPECT_EQ(received_without_error(socket.get(), 100), packet.payload);
    EXPECT_EQ(error_of(device.try_write(ByteView())), EINVAL);
  });
}

TEST(TunDevice, refuses_a_gathered_frame_whose_header_does_not_fit) {
  with_offloads([](TunDevice& device) {
    FlowPacket packet{.source_host = 2, .destination_host = 1};
    packet.payload = FlowPacket::bytes(3000);
    const auto frame = packet.build_partial();
    const ByteView piece = frame;
    VirtioNetHeader header = packet.super_header(1000);
    header.gso_type = 77;
    EXPECT_EQ(error_of(device.try_write(GatheredFrame{header, std::span(&piece, 1)})), EINVAL);
    EXPECT_EQ(error_of(device.try_write(GatheredFrame{packet.super_header(1000), std::span(&piece, 1)})), 0);
    output_of("ip link set cv0 down");
    EXPECT_EQ(error_of(device.try_write(GatheredFrame{packet.super_header(1000), std::span(&piece, 1)})), EIO);
    output_of("ip link del cv0");
    EXPECT_EQ(error_of(device.try_write(GatheredFrame{packet.super_header(1000), std::span(&piece, 1)})), EBADFD);
    VirtioNetHeader unused;
    EXPECT_EQ(error_of(device.try_read(unused, memory)), EBADFD);
  });
}

// A device with several queues, and flows of the kernel's through it.
class Queues {
 public:
  explicit Queues(std::size_t count, bool is_offloaded = false)
      : device_(TunDevice::create("cv0", is_offloaded, count)) {
    output_of("echo 1 > /proc/sys/net/ipv6/conf/cv0/disable_ipv6");
    bring_up("cv0");
  }
  // Sends a datagram from `port`; the queue it comes to.
  std::size_t queue_of(std::uint16_t port) {
    const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port);
    EXPECT_EQ(::bind(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    address.sin_port = htons(9);
    address.sin_addr.s_addr = htonl(0x0A090002);
    EXPECT_EQ(::sendto(socket.get(), "x", 1, 0, reinterpret_cast<sockaddr*>(&address), sizeof address), 1);
    for (;;) {
      for (std::size_t number = 0; number < device_.queue_count(); ++number) {
        VirtioNetHeader header;
        if (!device_.queue(number).try_read(header, memory)) continue;
        // Nobody listens for answers, and the kernel says so.
        if (memory[9] == std::byte{17}) return number;
      }
    }
  }
  // The answer to such a datagram is written to a queue.
  void answer(std::uint16_t port, std::size_t number) {
    PacketBuilder from{*Address::parse("10.9.0.2"), *Address::parse("10.9.0.1")};
    from.source_port = 9;
    from.destination_port = port;
    const std::vector<std::byte> frame = from.udp(bytes_of("y"));
    const ByteView piece = frame;
    EXPECT_TRUE(device_.queue(number).try_write(GatheredFrame{{}, std::span(&piece, 1)}));
  }

  TunDevice device_;
};

TEST(TunDeviceQueues, are_one_device_over_which_flows_are_spread) {
  with_tun([] {
    Queues queues(4);
    EXPECT_EQ(queues.device_.queue_count(), 4U);
    for (std::size_t number = 0; number < 4; ++number) EXPECT_EQ(queues.device_.queue(number).name(), "cv0");
    EXPECT_THAT(output_of("ip -details link show cv0"), AllOf(HasSubstr("multi_queue"), HasSubstr("numtxqueues")));
    std::set<std::size_t> used;
    for (std::uint16_t port = 20000; port < 20200; ++port) used.insert(queues.queue_of(port));
    EXPECT_EQ(used.size(), 4U);
  });
}

TEST(TunDeviceQueues, keep_a_flow_whichever_of_them_its_answers_are_written_to) {
  with_tun([] {
    for (const bool is_offloaded : {false, true}) {
      Queues queues(4, is_offloaded);
      for (std::uint16_t port = 20000; port < 20020; ++port) {
        const std::size_t before = queues.queue_of(port);
        for (std::size_t number = 0; number < 4; ++number) {
          queues.answer(port, number);
          EXPECT_EQ(queues.queue_of(port), before);
        }
      }
    }
  });
}

TEST(TunDeviceQueues, all_see_that_the_device_was_deleted) {
  with_tun([] {
    Queues queues(3);
    output_of("ip link del cv0");
    for (std::size_t number = 0; number < 3; ++number) {
      EXPECT_EQ(error_of(queues.device_.queue(number).try_read(memory)), EBADFD);
      EXPECT_EQ(error_of(queues.device_.queue(number).try_write(ipv4_packet(100))), EBADFD);
    }
  });
}

TEST(TunDeviceQueues, go_with_their_device_and_share_its_name_with_nobody) {
  with_tun([] {
    {
      const auto device = TunDevice::create("cv0", true, 4);
      EXPECT_TRUE(device.offloads().virtio_net_header);
      expect_system_error([] { TunDevice::create("cv0", true, 4); }, std::errc::device_or_resource_busy,
                          HasSubstr("exists already"));
    }
    EXPECT_THAT(output_of("ip link"), Not(HasSubstr("cv0")));
  });
}

TEST(TunDeviceQueues, are_told_of_what_the_device_can_do) {
  with_tun([] {
    auto device = TunDevice::create("cv0", true, 3);
    for (std::size_t number = 1; number < 3; ++number) {
      EXPECT_EQ(device.queue(number).offloads().tcp, device.offloads().tcp);
      EXPECT_EQ(device.queue(number).offloads().udp, device.offloads().udp);
    }
  });
}

}  // namespace
}  // namespace culvert
