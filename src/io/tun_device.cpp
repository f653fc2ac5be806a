// Creating, reading and writing a TUN or TAP device.
#include "culvert/io/tun_device.hpp"

#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/uio.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cstring>
#include <iterator>
#include <optional>
#include <span>
#include <utility>

#include "errors.hpp"

namespace culvert {

namespace {

constexpr const char* control_file = "/dev/net/tun";

// The rules of dev_valid_name (net/core/dev.c); '%' besides, which the kernel would replace by a number.
void check_name(const std::string& name) {
  const std::string what = "cannot create TUN device '" + std::string(name.c_str()) + "'";
  if (name.size() >= IFNAMSIZ) throw_system_error(ENAMETOOLONG, what + " (a device name has at most 15 bytes)");
  const auto is_refused = [](unsigned char c) { return c == '/' || c == ':' || c == '%' || c == 0 || std::isspace(c); };
  if (name.empty() || name == "." || name == ".." || std::any_of(name.begin(), name.end(), is_refused)) {
    throw_system_error(EINVAL,
                       what + " (a device name has 1 to 15 bytes, no space, '/', ':' or '%', and is not '.' or '..')");
  }
}

std::string hint_for_open(int error) {
  switch (error) {
    case ENOENT:
      return " (there is no such file: load the driver with 'modprobe tun', or make the file with 'mkdir -p /dev/net "
             "&& "
             "mknod /dev/net/tun c 10 200'; in a container start it with '--device /dev/net/tun')";
    case ENODEV:
    case ENXIO:
      return " (the kernel has no TUN driver loaded: try 'modprobe tun')";
    case EACCES:
    case EPERM:
      return " (run as root, or allow this user to read and write the file; in a container start it with "
             "'--device /dev/net/tun')";
    default:
      return "";
  }
}

std::string hint_for_attach(int error) {
  switch (error) {
    case EBUSY:
      return " (a device of that name exists already, perhaps of another running program: choose another name, or "
             "remove "
             "it with 'ip link delete')";
    case EPERM:
      return " (run as root or with CAP_NET_ADMIN)";
    case ENOTTY:
      return " (/dev/net/tun is another file than the TUN driver's: remove it, and make it with 'mknod /dev/net/tun c "
             "10 "
             "200')";
    default:
      return "";
  }
}

std::optional<ifreq> describe(int fd) noexcept {
  ifreq request{};
  if (::ioctl(fd, TUNGETIFF, &request) < 0) return std::nullopt;
  return request;
}

// TUN_F_USO4 and TUN_F_USO6 (Linux 6.2) are younger than the headers of Debian 12, and go together only.
constexpr unsigned uso = 0x20 | 0x40;
constexpr unsigned tso = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6;

DeviceOffloads ask_for_offloads(int fd) noexcept {
  DeviceOffloads offloads;
  offloads.virtio_net_header = true;
  int size = static_cast<int>(virtio_net_header_size);
  ::ioctl(fd, TUNSETVNETHDRSZ, &size);  // 10 is what the kernel has at first, too
  offloads.tcp = offloads.udp = ::ioctl(fd, TUNSETOFFLOAD, tso | uso) == 0;
  if (offloads.udp) return offloads;
  offloads.tcp = ::ioctl(fd, TUNSETOFFLOAD, tso) == 0;
  offloads.missing = offloads.tcp ? "the kernel has no UDP segmentation for TUN devices (before Linux 6.2)"
                                  : "the kernel refuses segmentation offloads for TUN devices";
  return offloads;
}

std::string name_of(const ifreq& request) {
  return std::string(request.ifr_name, ::strnlen(request.ifr_name, sizeof request.ifr_name));
}

}  // namespace

TunDevice TunDevice::create(const std::string& name, bool with_offloads, std::size_t queues, DeviceLayer layer) {
  check_name(name);
  const int offload_flag = with_offloads ? IFF_VNET_HDR : 0;
  const int queue_flag = queues > 1 ? IFF_MULTI_QUEUE : 0;
  const int flags = (layer == DeviceLayer::Ethernet ? IFF_TAP : IFF_TUN) | IFF_NO_PI | offload_flag | queue_flag;
  // IFF_TUN_EXCL: without it the kernel would attach to a persistent device somebody else made.
  TunDevice device = attach_queue(name, flags, IFF_TUN_EXCL);
  device.layer_ = layer;
  if (with_offloads) device.offloads_ = ask_for_offloads(device.fd());
  for (std::size_t number = 1; number < queues; ++number) {
    device.others_.push_back(attach_queue(device.name_, flags, 0));
    device.others_.back().layer_ = layer;
    device.others_.back().offloads_ = device.offloads_;
  }
  return device;
}

TunDevice TunDevice::attach_queue(const std::string& name, int flags, int flags_of_first) {
  TunDevice queue = attach(name, flags | flags_of_first);
  if ((flags & IFF_MULTI_QUEUE) == 0) return queue;
  // The kernel sends a flow's frames to the queue that was last written the flow's answers to (tun_flow_update in
  // drivers/net/tun.c), and one that moves while frames of it wait is out of order. Writing to a detached queue teaches
  // it nothing: what remains is a hash of addresses and ports. The writing end is the one attached first, so that the
  // number it keeps, and packets it brings bear, is that of a queue that is there.
  TunDevice reading = attach(queue.name_, flags);
  ifreq request{};
  request.ifr_flags = IFF_DETACH_QUEUE;
  if (::ioctl(queue.fd(), TUNSETQUEUE, &request) < 0) {
    throw_system_error(errno, "cannot create TUN device '" + queue.name_ + "' with several queues");
  }
  queue.writing_ = std::exchange(queue.fd_, std::move(reading.fd_));
  return queue;
}

TunDevice TunDevice::attach(const std::string& name, int flags) {
  const std::string what = "cannot create TUN device '" + name + "'";
  UniqueFd fd(::open(control_file, O_RDWR | O_NONBLOCK | O_CLOEXEC));
  if (const int error = errno; !fd.is_open()) {
    throw_system_error(error, what + ": cannot open " + control_file + hint_for_open(error));
  }
  ifreq request{};
  std::memcpy(request.ifr_name, name.data(), name.size());
  request.ifr_flags = static_cast<short>(flags);
  if (::ioctl(fd.get(), TUNSETIFF, &request) < 0) {
    const int error = errno;
    throw_system_error(error, what + hint_for_attach(error));
  }
  return TunDevice(std::move(fd), name_of(request));
}

TunDevice TunDevice::adopt(UniqueFd fd) {
  const std::string what = "cannot use descriptor " + std::to_string(fd.get()) + " as TUN device";
  const auto request = describe(fd.get());
  if (const int error = errno; !request) throw_system_error(error, what + " (it is not attached to one)");
  // IFF_NO_PI cannot be checked: TUNGETIFF reports IFF_NOFILTER, which every TUN device has, as the same bit.
  if ((request->ifr_flags & (IFF_TUN | IFF_TAP | IFF_VNET_HDR)) != IFF_TUN) {
    throw_system_error(EINVAL, what + " (device '" + name_of(*request) +
                                   "' must be opened with IFF_TUN | IFF_NO_PI, without IFF_VNET_HDR)");
  }
  const int status = ::fcntl(fd.get(), F_GETFL);
  if (status < 0 || ::fcntl(fd.get(), F_SETFL, status | O_NONBLOCK) < 0 || ::fcntl(fd.get(), F_SETFD, FD_CLOEXEC) < 0) {
    throw_system_error(errno, what);
  }
  TunDevice device(std::move(fd), name_of(*request));
  device.offloads_.missing = "the device was opened by somebody else, without IFF_VNET_HDR";
  return device;
}

std::vector<int> TunDevice::descriptors() const {
  std::vector<int> numbers{fd_.get()};
  if (writing_.is_open()) numbers.push_back(writing_.get());
  for (const TunDevice& other : others_) {
    const std::vector<int> more = other.descriptors();
    numbers.insert(numbers.end(), more.begin(), more.end());
  }
  return numbers;
}

TunDevice TunDevice::assemble(std::vector<UniqueFd> descriptors) {
  const std::string what = "cannot use descriptors of a TUN device";
  const auto request = descriptors.empty() ? std::nullopt : describe(descriptors.front().get());
  if (!request) throw_system_error(EBADFD, what);
  const bool has_queues = (request->ifr_flags & IFF_MULTI_QUEUE) != 0;
  const std::size_t step = has_queues ? 2 : 1;
  if (has_queues ? descriptors.size() % step != 0 : descriptors.size() != step) throw_system_error(EINVAL, what);
  std::vector<TunDevice> queues;
  for (std::size_t at = 0; at < descriptors.size(); at += step) {
    TunDevice& queue = queues.emplace_back(TunDevice(std::move(descriptors[at]), name_of(*request)));
    if (has_queues) queue.writing_ = std::move(descriptors[at + 1]);
    queue.layer_ = (request->ifr_flags & IFF_TAP) != 0 ? DeviceLayer::Ethernet : DeviceLayer::Ip;
    if ((request->ifr_flags & IFF_VNET_HDR) != 0) queue.offloads_ = ask_for_offloads(queue.fd());
  }
  TunDevice device = std::move(queues.front());
  std::move(queues.begin() + 1, queues.end(), std::back_inserter(device.others_));
  return device;
}

std::string TunDevice::name() const {
  if (const auto request = describe(fd_.get())) name_ = name_of(*request);
  return name_;
}

Result<MacAddress> TunDevice::mac_address() const noexcept {
  ifreq request{};
  if (::ioctl(fd_.get(), SIOCGIFHWADDR, &request) < 0) return last_error();
  return MacAddress::from_bytes(std::as_bytes(std::span(request.ifr_hwaddr.sa_data)));
}

Result<UniqueFd> TunDevice::network_namespace() const noexcept {
  const int fd = ::ioctl(fd_.get(), TUNGETDEVNETNS);
  if (fd < 0) return last_error();
  return UniqueFd(fd);
}

Result<std::size_t> TunDevice::try_read(VirtioNetHeader& header, ByteSpan buffer) noexcept {
  const std::size_t skipped = offloads_.virtio_net_header ? 0 : 1;
  const std::array<iovec, 2> pieces{{{&header, sizeof header}, {buffer.data(), buffer.size()}}};
  if (skipped != 0) header = {};
  ssize_t size = 0;
  do {
    size = ::readv(fd_.get(), pieces.data() + skipped, static_cast<int>(pieces.size() - skipped));
  } while (size < 0 && errno == EINTR);
  if (size < 0) return last_error();
  const std::size_t in_header = skipped != 0 ? 0 : std::min(static_cast<std::size_t>(size), sizeof header);
  return static_cast<std::size_t>(size) - in_header;
}

Result<std::size_t> TunDevice::try_read(ByteSpan buffer) noexcept {
  VirtioNetHeader header;
  return try_read(header, buffer);
}

Result<void> TunDevice::try_write(const GatheredFrame& frame) noexcept {
  // IOV_MAX (include/uapi/linux/uio.h: UIO_MAXIOV).
  std::array<iovec, 1024> pieces;
  std::size_t count = 0;
  VirtioNetHeader header = frame.header;
  if (offloads_.virtio_net_header) pieces[count++] = {&header, sizeof header};
  for (const ByteView piece : frame.pieces.first(std::min(frame.pieces.size(), pieces.size() - 1))) {
    // writev() only reads what iovec, made for both directions, points to.
    pieces[count++] = {const_cast<std::byte*>(piece.data()), piece.size()};
  }
  ssize_t size = 0;
  do {
    size = ::writev(writing_fd(), pieces.data(), static_cast<int>(count));
  } while (size < 0 && errno == EINTR);
  if (size < 0) return last_error();
  // Nothing at all does not reach the driver, which would refuse it.
  if (size == 0) return boost::system::error_code(EINVAL, boost::system::system_category());
  return {};
}

Result<void> TunDevice::try_write(ByteView frame) noexcept {
  return try_write(GatheredFrame{{}, std::span(&frame, 1)});
}

}  // namespace culvert
