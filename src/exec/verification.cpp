// Looking for leaks: rounds of probes, and the judgement.
#include "verification.hpp"

#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cerrno>
#include <system_error>
#include <utility>

#include "culvert/base/fields.hpp"
#include "culvert/base/printable.hpp"
#include "culvert/crypto/system_random.hpp"
#include "culvert/exec/confinement.hpp"
#include "culvert/exec/probes.hpp"
#include "culvert/io/socket_address.hpp"

namespace culvert {
namespace asio = boost::asio;
namespace {

constexpr auto pause_between_rounds = std::chrono::milliseconds(100);
// What is on its way may arrive.
constexpr auto time_to_arrive = std::chrono::milliseconds(200);

std::string random_text() {
  SystemRandom random;
  std::string text = "culvert ";
  for (int word = 0; word < 5; ++word) text += std::to_string(random.next_u32()) + ".";
  return text;
}

/// That an ear hears what it should: a datagram by "lo".
void send_control(const std::string& text, const NetworkNamespace& where) {
  const ScopedNamespace inside(where);
  const UniqueFd socket(::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_storage address{};
  const socklen_t size = to_socket_address({*Address::parse("127.0.0.1"), 9, 0}, address);
  ::sendto(socket.get(), text.data(), text.size(), 0, reinterpret_cast<const sockaddr*>(&address), size);
}

std::string joined_names(const std::set<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + printable(name);
  return text;
}

}  // namespace

std::string to_text(const ProbeOrder& order) {
  std::vector<std::string> fields{order.device, order.resolv_conf, std::to_string(order.outside.device),
                                  std::to_string(order.outside.inode), order.marker};
  for (const Address& address : order.addresses) fields.push_back(address.to_string());
  return join_fields(fields);
}

std::string carry_out(const std::string& order) {
  const auto fields = split_fields(order);
  if (!fields || fields->size() < 5) throw std::system_error(EINVAL, std::system_category(), "reading what to probe");
  std::vector<Address> addresses;
  for (std::size_t at = 5; at < fields->size(); ++at) {
    if (const auto address = Address::parse((*fields)[at])) addresses.push_back(*address);
  }
  const NamespaceIdentity outside{number_from<std::uint64_t>((*fields)[2]).value_or(0),
                                  number_from<std::uint64_t>((*fields)[3]).value_or(0)};
  std::vector<std::string> answer = find_ways_out((*fields)[0], (*fields)[1], outside);
  answer.insert(answer.begin(), std::to_string(send_probes((*fields)[4], addresses)));
  return join_fields(answer);
}

struct Verification::Ear {
  Ear(asio::io_context& io, const NetworkNamespace& where, std::vector<std::string> texts)
      : tap(where, std::move(texts)), ready(io) {
    const int copy = ::fcntl(tap.fd(), F_DUPFD_CLOEXEC, 3);
    if (copy < 0) throw std::system_error(errno, std::system_category(), "duplicating a descriptor");
    ready.assign(copy);
  }
  Wiretap tap;
  asio::posix::stream_descriptor ready;
};

Verification::Verification(asio::io_context& io, Settings settings, ProbeOrder order,
                           std::vector<NetworkNamespace> outside)
    : settings_(std::move(settings)),
      order_(std::move(order)),
      control_(random_text()),
      outside_(std::move(outside)),
      io_(io),
      timer_(io) {
  order_.marker = random_text();
}

Verification::~Verification() = default;

void Verification::begin() {
  end_ = std::chrono::steady_clock::now() + settings_.length;
  for (const NetworkNamespace& where : outside_) listen(where);
  ask();
}

void Verification::listen(const NetworkNamespace& where) {
  try {
    Ear& ear = *ears_.emplace_back(std::make_unique<Ear>(io_, where, std::vector{order_.marker, control_}));
    send_control(control_, where);
    await_frames(ear);
  } catch (const std::system_error& error) {
    why_deaf_ = error.code().value() == EPERM ? "listening on links needs root or CAP_NET_RAW" : error.what();
  }
}

void Verification::await_frames(Ear& ear) {
  ear.ready.async_wait(asio::posix::stream_descriptor::wait_read, [this, &ear](boost::system::error_code failed) {
    if (failed) return;
    ear.tap.take();
    await_frames(ear);
  });
}

void Verification::ask() {
  settings_.tell_inside(to_text(order_));
}

void Verification::wait_before(std::chrono::milliseconds pause, void (Verification::*next)()) {
  timer_.expires_after(pause);
  timer_.async_wait([this, next](boost::system::error_code failed) {
    if (!failed) (this->*next)();
  });
}

void Verification::on_answer(const std::string& answer) {
  const auto fields = split_fields(answer);
  if (!fields) return;
  ++rounds_;
  sent_ += number_from<std::size_t>(fields->front()).value_or(0);
  complaints_.insert(fields->begin() + 1, fields->end());
  if (std::chrono::steady_clock::now() < end_) {
    wait_before(pause_between_rounds, &Verification::ask);
  } else {
    wait_before(time_to_arrive, &Verification::judge);
  }
}

void Verification::judge() {
  const std::string times = rounds_ == 1 ? "once" : std::to_string(rounds_) + " times";
  if (complaints_.empty()) {
    settings_.say("verified from inside, " + times + ": the only links are lo and " + order_.device +
                  ", no route leads elsewhere, resolv.conf is this namespace's own, no other resolver answers");
  }
  for (const std::string& complaint : complaints_) settings_.say("LEAK, seen from inside: " + complaint);
  bool is_tight = complaints_.empty();
  std::size_t frames = 0;
  for (const auto& ear : ears_) {
    ear->tap.take();
    frames += ear->tap.frames();
    if (const auto& links = ear->tap.seen(0); !links.empty()) {
      is_tight = false;
      settings_.say("LEAK, seen from outside: a probe passed in the clear on " + joined_names(links));
    }
    if (ear->tap.seen(1).empty() && why_deaf_.empty()) why_deaf_ = "not even a packet of our own was heard (is lo up?)";
    if (ear->tap.missed() != 0) why_deaf_ = "too much passes on the links of this host to look at all of it";
  }
  if (!why_deaf_.empty()) {
    settings_.say("not verified from outside: " + why_deaf_);
  } else if (is_tight) {
    settings_.say("verified from outside: none of " + std::to_string(sent_) + " probes to " +
                  std::to_string(order_.addresses.size()) + " addresses passed in the clear, among " +
                  std::to_string(frames) + " frames on all links");
  }
  settings_.done(is_tight);
}

}  // namespace culvert
