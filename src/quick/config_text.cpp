// Writing configurations.
#include "culvert/quick/config_text.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <span>
#include <string_view>
#include <system_error>

#include "culvert/base/printable.hpp"
#include "culvert/io/unique_fd.hpp"

namespace culvert {

namespace {

class Writer {
 public:
  void section(std::string_view name) {
    if (!text_.empty()) text_ += '\n';
    text_.append("[").append(name).append("]\n");
  }
  void line(std::string_view key, std::string_view value) {
    text_.append(key).append(" = ").append(value).append("\n");
  }
  void number(std::string_view key, std::uint64_t value) { line(key, std::to_string(value)); }
  void key(std::string_view name, KeyView bytes) {
    std::array<char, 44> base64;
    key_to_base64(bytes, base64);
    line(name, {base64.data(), base64.size()});
    wipe(std::as_writable_bytes(std::span(base64)));
  }
  void lines(std::string_view key, const std::vector<std::string>& values) {
    for (const std::string& value : values) line(key, value);
  }
  void list(std::string_view key, const std::vector<Prefix>& prefixes) {
    if (prefixes.empty()) return;
    text_.append(key).append(" = ");
    for (const Prefix& prefix : prefixes) {
      if (&prefix != &prefixes.front()) text_ += ", ";
      text_ += prefix.to_string();
    }
    text_ += '\n';
  }
  [[nodiscard]] WipedString take() { return std::move(text_); }

 private:
  WipedString text_;
};

void write_wg_quick_keys(Writer& out, const Config& config) {
  for (const Prefix& address : config.addresses) out.line("Address", address.to_string());
  out.lines("DNS", config.dns);
  if (config.mtu) out.number("MTU", *config.mtu);
  if (config.table.kind == RouteTable::Kind::Off && config.mode == DeviceMode::Routed) out.line("Table", "off");
  if (config.table.kind == RouteTable::Kind::Number) out.number("Table", config.table.number);
  if (config.save_config) out.line("SaveConfig", "true");
  out.lines("PreUp", config.pre_up);
  out.lines("PostUp", config.post_up);
  out.lines("PreDown", config.pre_down);
  out.lines("PostDown", config.post_down);
  if (!config.device_namespace.empty()) out.line("Namespace", config.device_namespace);
  if (!config.socket_namespace.empty()) out.line("SocketNamespace", config.socket_namespace);
  if (config.mode == DeviceMode::Switched) out.line("Mode", "tap");
  if (!config.bridge.empty()) out.line("Bridge", config.bridge);
  if (!config.bridge_port.empty()) out.line("BridgePort", config.bridge_port);
  if (!config.switching.relay) out.line("Relay", "no");
  if (config.switching.link_local_frames) out.line("LinkLocalFrames", "yes");
  if (!config.cipher.is_auto()) out.line("Cipher", to_string(config.cipher));
  if (config.insecure) out.line("Insecure", "yes");
  if (config.busy_poll) out.number("BusyPoll", *config.busy_poll);
  if (config.queues) out.number("Queues", *config.queues);
  if (config.offloads != OffloadChoice{}) out.line("Offloads", to_string(config.offloads));
}

void fail(const std::string& path) {
  throw std::system_error(errno, std::system_category(), "writing " + printable(path));
}

}  // namespace

std::string endpoint_text(const EndpointName& endpoint) {
  if (endpoint.literal) return endpoint.literal->to_string();
  const bool is_v6 = endpoint.host.find(':') != std::string::npos;
  return (is_v6 ? "[" + endpoint.host + "]" : endpoint.host) + ":" + std::to_string(endpoint.port);
}

std::string bench_rate_text(const std::optional<std::uint64_t>& rate) {
  if (!rate) return "no";
  if (*rate == 0) return "yes";
  std::uint64_t number = *rate;
  std::string_view unit;
  for (const std::string_view larger : {"k", "M", "G"}) {
    if (number % 1000 != 0) break;
    number /= 1000;
    unit = larger;
  }
  return std::to_string(number) + std::string(unit);
}

WipedString to_text(const Config& config, ConfigText kind) {
  const bool is_whole = kind == ConfigText::Whole;
  Writer out;
  out.section("Interface");
  if (is_whole) write_wg_quick_keys(out, config);
  if (config.listen_port) out.number("ListenPort", *config.listen_port);
  if (config.firewall_mark) out.number("FwMark", *config.firewall_mark);
  if (!config.private_key.is_zero()) out.key("PrivateKey", config.private_key.bytes());
  for (const PeerConfig& peer : config.peers) {
    out.section("Peer");
    if (is_whole && !peer.name.empty()) out.line("Name", peer.name);
    if (is_whole && peer.bench_rate) out.line("AllowBench", bench_rate_text(peer.bench_rate));
    out.key("PublicKey", peer.public_key.bytes());
    if (!peer.preshared_key.is_zero()) out.key("PresharedKey", peer.preshared_key.bytes());
    out.list("AllowedIPs", peer.allowed_ips);
    if (peer.endpoint) out.line("Endpoint", endpoint_text(*peer.endpoint));
    if (peer.persistent_keepalive.count() != 0) {
      out.number("PersistentKeepalive", static_cast<std::uint64_t>(peer.persistent_keepalive.count()));
    }
  }
  return out.take();
}

void write_config_file(const std::string& path, const WipedString& text) {
  const std::string fresh = path + ".tmp";
  ::unlink(fresh.c_str());
  const UniqueFd file(::open(fresh.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (!file.is_open()) fail(path);
  for (std::string_view rest = text; !rest.empty();) {
    const ssize_t written = ::write(file.get(), rest.data(), rest.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      const int error = errno;
      ::unlink(fresh.c_str());
      errno = error;
      fail(path);
    }
    rest.remove_prefix(static_cast<std::size_t>(written));
  }
  if (::fsync(file.get()) != 0 || ::rename(fresh.c_str(), path.c_str()) != 0) {
    const int error = errno;
    ::unlink(fresh.c_str());
    errno = error;
    fail(path);
  }
}

}  // namespace culvert
