// A packet socket and a search.
#include "culvert/exec/wiretap.hpp"

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <string_view>
#include <system_error>

namespace culvert {

namespace {

constexpr int buffer_bytes = 32 << 20;
constexpr std::size_t frame_max = 128 << 10;

}  // namespace

Wiretap::Wiretap(const NetworkNamespace& where, std::vector<std::string> texts)
    : texts_(std::move(texts)), seen_(texts_.size()), buffer_(frame_max) {
  const ScopedNamespace inside(where);
  fd_.reset(::socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(ETH_P_ALL)));
  if (!fd_.is_open()) throw std::system_error(errno, std::system_category(), "listening on all links");
  if (::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUFFORCE, &buffer_bytes, sizeof buffer_bytes) != 0) {
    ::setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof buffer_bytes);
  }
}

std::string Wiretap::name_of(int index) const {
  ifreq request{};
  request.ifr_ifindex = index;
  if (::ioctl(fd_.get(), SIOCGIFNAME, &request) != 0) return "number " + std::to_string(index);
  return std::string(request.ifr_name, ::strnlen(request.ifr_name, sizeof request.ifr_name));
}

void Wiretap::take() noexcept {
  for (;;) {
    sockaddr_ll from{};
    socklen_t length = sizeof from;
    const ssize_t size =
        ::recvfrom(fd_.get(), buffer_.data(), buffer_.size(), 0, reinterpret_cast<sockaddr*>(&from), &length);
    if (size < 0 && (errno == EINTR || errno == ENETDOWN)) continue;
    if (size < 0) return;
    ++frames_;
    const std::string_view frame(buffer_.data(), static_cast<std::size_t>(size));
    for (std::size_t text = 0; text < texts_.size(); ++text) {
      if (frame.find(texts_[text]) != std::string_view::npos) seen_[text].insert(name_of(from.sll_ifindex));
    }
  }
}

std::size_t Wiretap::missed() noexcept {
  tpacket_stats statistics{};
  socklen_t length = sizeof statistics;
  // Reading sets it back.
  if (::getsockopt(fd_.get(), SOL_PACKET, PACKET_STATISTICS, &statistics, &length) == 0) missed_ += statistics.tp_drops;
  return missed_;
}

}  // namespace culvert
