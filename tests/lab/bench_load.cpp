// The benchmark's load between two namespaces, for the lab to compare with other generators.
//
//   bench_load NEAR NEAR_ADDRESS FAR FAR_ADDRESS tcp STREAMS MILLISECONDS
//     prints bits a second
//   bench_load NEAR NEAR_ADDRESS FAR FAR_ADDRESS udp SIZE RATE MILLISECONDS STAMPS
//     prints how many were sent and received, seconds of sending, seconds of processor time
//   bench_load NEAR NEAR_ADDRESS FAR FAR_ADDRESS round-trip SIZE MILLISECONDS
//     prints the median in seconds
#include <unistd.h>

#include <algorithm>
#include <iostream>
#include <string>
#include <vector>

#include "culvert/bench/local_path.hpp"
#include "culvert/bench/processor_time.hpp"

namespace culvert {
namespace {

using std::chrono::milliseconds;

double seconds(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double>(duration).count();
}

void run(const std::vector<std::string>& words) {
  const auto near_space = NetworkNamespace::open(words.at(0)), far_space = NetworkNamespace::open(words.at(2));
  LocalPath path({near_space, {Address::parse(words.at(1)).value(), {}}},
                 {far_space, {Address::parse(words.at(3)).value(), {}}});
  const auto number = [&](std::size_t i) { return std::stoul(words.at(i)); };
  if (words.at(4) == "tcp") {
    const TcpOutcome outcome =
        path.run(TcpTrial{.streams = static_cast<unsigned>(number(5)), .duration = milliseconds(number(6))});
    std::cout << static_cast<double>(outcome.bytes_up) * 8 / seconds(outcome.elapsed) << '\n';
  } else if (words.at(4) == "udp") {
    const auto before = processor_time_of(::getpid());
    const UdpOutcome outcome = path.run(UdpTrial{.packet_size = number(5),
                                                 .rate = std::stod(words.at(6)),
                                                 .duration = milliseconds(number(7)),
                                                 .has_timestamps = number(8) != 0});
    std::cout << outcome.sent << ' ' << outcome.received << ' ' << seconds(outcome.elapsed) << ' '
              << seconds(processor_time_of(::getpid()).value() - before.value()) << '\n';
  } else {
    RoundTripOutcome outcome =
        path.run(RoundTripTrial{.packet_size = number(5), .duration = milliseconds(number(6)), .load = std::nullopt});
    std::ranges::sort(outcome.times);
    std::cout << seconds(outcome.times.at(outcome.times.size() / 2)) << '\n';
  }
}

}  // namespace
}  // namespace culvert

int main(int argc, char** argv) {
  try {
    culvert::run(std::vector<std::string>(argv + 1, argv + argc));
    return 0;
  } catch (const std::exception& error) {
    std::cerr << "bench_load: " << error.what() << '\n';
    return 1;
  }
}
