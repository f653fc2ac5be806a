// Trials through a running tunnel, one after the other, for the lab: bench_peer PEER TUNNEL TRIAL… prints a line each.
#include "culvert/bench/bench_peer.hpp"

#include <charconv>
#include <chrono>
#include <cstdio>
#include <exception>
#include <stdexcept>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "culvert/crypto/initialize.hpp"

namespace {

using namespace culvert;

std::vector<std::string_view> words_of(std::string_view text) {
  std::vector<std::string_view> words;
  for (;;) {
    const std::size_t colon = text.find(':');
    words.push_back(text.substr(0, colon));
    if (colon == std::string_view::npos) return words;
    text.remove_prefix(colon + 1);
  }
}

unsigned number_in(const std::vector<std::string_view>& words, std::size_t place) {
  const std::string_view text = words.at(place);
  unsigned number = 0;
  if (std::from_chars(text.data(), text.data() + text.size(), number).ec != std::errc()) {
    throw std::invalid_argument("not a number: " + std::string(text));
  }
  return number;
}

Direction direction_of(std::string_view word) {
  if (word.ends_with("both")) return Direction::Both;
  return word.ends_with("up") ? Direction::Up : Direction::Down;
}

// tcp-up:STREAMS:MS, udp-up:PACKETS_PER_SECOND:SIZE:MS, rtt:SIZE:MS, rtt-up:SIZE:MS:LOAD, pause:MS; down and both
// alike.
void run(MeasuredPath& path, std::string_view trial) {
  const auto words = words_of(trial);
  const std::string_view kind = words.front();
  const auto last = std::chrono::milliseconds(number_in(words, words.size() - 1));
  if (kind == "pause") {
    std::this_thread::sleep_for(last);
    std::printf("{}");
  } else if (kind.starts_with("tcp")) {
    const TcpOutcome outcome =
        path.run(TcpTrial{.direction = direction_of(kind), .streams = number_in(words, 1), .duration = last});
    std::printf("{\"up\": %lu, \"down\": %lu, \"in_all\": %lu, \"nanoseconds\": %lld}", outcome.bytes_up,
                outcome.bytes_down, outcome.bytes_in_all, static_cast<long long>(outcome.elapsed.count()));
  } else if (kind.starts_with("udp")) {
    const UdpOutcome outcome = path.run(UdpTrial{.direction = direction_of(kind),
                                                 .packet_size = number_in(words, 2),
                                                 .rate = static_cast<double>(number_in(words, 1)),
                                                 .duration = last,
                                                 .flows = 2});
    std::printf("{\"wanted\": %lu, \"sent\": %lu, \"received\": %lu, \"nanoseconds\": %lld}", outcome.wanted,
                outcome.sent, outcome.received, static_cast<long long>(outcome.elapsed.count()));
  } else {
    RoundTripTrial round_trips{.packet_size = number_in(words, 1), .duration = last, .load = {}};
    if (kind != "rtt") {
      round_trips.duration = std::chrono::milliseconds(number_in(words, 2));
      round_trips.load = UdpTrial{.direction = direction_of(kind), .rate = static_cast<double>(number_in(words, 3))};
    }
    const RoundTripOutcome outcome = path.run(round_trips);
    std::printf("{\"answers\": %zu, \"lost\": %lu, \"load\": %lu}", outcome.times.size(), outcome.lost,
                outcome.load ? outcome.load->received : 0);
  }
  std::printf("\n");
  std::fflush(stdout);
}

}  // namespace

int main(int argc, char** argv) {
  try {
    initialize_crypto();
    if (argc < 3) throw std::invalid_argument("usage: bench_peer PEER TUNNEL TRIAL…");
    const BenchPeer peer = connect_to_bench_peer(argv[1], argv[2]);
    const BenchTunnel& tunnel = peer.tunnel;
    std::printf("{\"tunnel\": \"%s\", \"peer\": \"%s\", \"mode\": \"%s\", \"cipher\": \"%s\", \"far\": \"%s\", ",
                tunnel.name.c_str(), tunnel.peer.c_str(), tunnel.mode.c_str(), tunnel.cipher.c_str(),
                tunnel.far_address.c_str());
    std::printf("\"mtu\": %u, \"rate_limit\": %lu}\n", tunnel.mtu, tunnel.rate_limit);
    std::fflush(stdout);
    for (int i = 3; i < argc; ++i) run(*peer.path, argv[i]);
    return 0;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "bench_peer: %s\n", error.what());
    return 1;
  }
}
