// One thread's packet work.
#include "culvert/runtime/worker.hpp"

#include <fcntl.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <system_error>

#include "culvert/forwarding/ethernet_header.hpp"
#include "culvert/io/clock.hpp"
#include "rethrow.hpp"

namespace culvert {
namespace asio = boost::asio;
namespace {

/// Packets and batches handled before other sources get their turn: acknowledgements must not wait behind data.
constexpr std::size_t frames_per_turn = 192;
constexpr int batches_per_turn = 4;
/// Sent at once, while the processor still has them in its cache.
constexpr std::size_t bytes_per_flush = 60'000;
/// Larger than any frame, so that a read that fills it cannot happen, and with room for padding behind it.
constexpr std::size_t frame_size_max = 65536 + ethernet_header_size + ethernet_tags_max * ethernet_tag_size;
/// In front, for the envelope of the first frame; the others write theirs over what was sent before.
constexpr std::size_t frame_headroom = 16;
constexpr std::size_t frame_buffer_size = frame_headroom + frame_size_max + limits::padding_multiple;
/// After an unexpected error, so that one that stays does not eat a core.
constexpr auto error_pause = std::chrono::milliseconds(20);

/// Waiting for a descriptor with Asio: epoll_ctl and epoll_wait.
constexpr std::uint64_t calls_per_wait = 2;

constexpr auto as_value = asio::as_tuple(asio::use_awaitable);

bool is_would_block(const boost::system::error_code& error) {
  return error.value() == EAGAIN || error.value() == EWOULDBLOCK;
}

}  // namespace

/// A descriptor for waiting only; its owner keeps and uses the original.
struct Worker::Port {
  Port(asio::io_context& io, int fd) : descriptor(io) {
    UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
    if (!copy.is_open()) throw std::system_error(errno, std::system_category(), "duplicating a descriptor to wait on");
    descriptor.assign(copy.get());
    (void)copy.release();
  }
  void close() {
    boost::system::error_code ignored;
    device = nullptr;
    socket = nullptr;
    descriptor.close(ignored);
  }
  asio::posix::stream_descriptor descriptor;
  TunDevice* device = nullptr;
  UdpSocket* socket = nullptr;
};

Worker::Worker(asio::io_context& io, SharedEngine& engine, UdpSocketPair& sockets)
    : Worker(io, engine, sockets, nullptr) {}

Worker::Worker(asio::io_context& io, SharedEngine& engine, UdpSocketPair& sockets, std::function<void()> notify)
    : io_(io),
      engine_(engine),
      notify_(std::move(notify)),
      sockets_(sockets),
      datagrams_(sockets),
      frame_buffer_(frame_buffer_size),
      // Not initialized: pages without a frame cost nothing.
      kept_(std::make_unique_for_overwrite<std::byte[]>(2 * kept_size_max)) {
  timer_port_ = std::make_shared<Port>(io, timer_.fd());
  socket_ports_ = open_ports(sockets_);
  if (!notify_) asio::co_spawn(io, keep_deadlines(timer_port_), rethrow);
  for (const auto& port : socket_ports_) asio::co_spawn(io, carry_inbound(port), rethrow);
}

Worker::~Worker() {
  // The frames of the coroutines hold ports, too, and live as long as the io_context.
  timer_port_->close();
  for (const auto& port : socket_ports_) port->close();
  set_device(nullptr);
}

std::vector<std::shared_ptr<Worker::Port>> Worker::open_ports(const UdpSocketPair& sockets) {
  std::vector<std::shared_ptr<Port>> ports;
  for (UdpSocket* socket : {sockets.v4.get(), sockets.v6.get()}) {
    if (!socket) continue;
    ports.push_back(std::make_shared<Port>(io_, socket->fd()));
    ports.back()->socket = socket;
  }
  return ports;
}

void Worker::replace_sockets(UdpSocketPair&& fresh) {
  auto ports = open_ports(fresh);
  for (const auto& port : socket_ports_) port->close();
  datagrams_.flush();
  sockets_ = std::move(fresh);
  socket_ports_ = std::move(ports);
  for (const auto& port : socket_ports_) asio::co_spawn(io_, carry_inbound(port), rethrow);
}

void Worker::set_device(TunDevice* device) {
  if (device_port_) device_port_->close();
  device_port_.reset();
  frames_.set_device(device);
  if (!device) return;
  device_port_ = std::make_shared<Port>(io_, device->fd());
  device_port_->device = device;
  asio::co_spawn(io_, carry_outbound(device_port_), rethrow);
}

asio::awaitable<void> Worker::carry_outbound(std::shared_ptr<Port> port) {
  Left left = Left::Nothing;
  for (;;) {
    if (left == Left::More) {
      co_await asio::post(io_, asio::use_awaitable);
    } else {
      co_await port->descriptor.async_wait(asio::posix::stream_descriptor::wait_read, as_value);
    }
    if (!port->device) co_return;
    if (left != Left::More) calls_ += calls_per_wait;
    left = forward_from(*port->device, read_clocks());
    finish_burst();
    if (left == Left::Lost) {
      if (on_device_lost) on_device_lost();
      co_return;
    }
    if (left == Left::Failed) co_await pause();
  }
}

/// One turn of the device.
Worker::Left Worker::forward_from(TunDevice& device, const Now& now) noexcept {
  std::size_t reads = 0;
  Left left = Left::More;
  for (std::size_t frames = 0; frames < frames_per_turn; ++reads) {
    VirtioNetHeader header;
    const ByteSpan room = ByteSpan(frame_buffer_).subspan(frame_headroom, frame_size_max);
    const auto size = device.try_read(header, room);
    ++calls_;
    if (!size) {
      left = Left::Nothing;
      if (is_would_block(size.error())) break;
      if (size.error().value() == EBADFD) return Left::Lost;
      if (read_errors_.allow(now.time)) spdlog::warn("reading from the device: {}", size.error().message());
      left = Left::Failed;
      break;
    }
    frames += forward_outbound(device, header, room.first(*size), now);
    // In a conversation the next frame is the answer to this one: looking for more would only delay it.
    if (reads == 0 && last_reads_ == 1) datagrams_.flush();
  }
  last_reads_ = reads;
  if (reads == 1 && wakefulness) wakefulness->heard(now.time);
  return left;
}

asio::awaitable<void> Worker::carry_inbound(std::shared_ptr<Port> port) {
  bool may_have_more = false;
  for (;;) {
    if (may_have_more) {
      co_await asio::post(io_, asio::use_awaitable);
    } else {
      const auto [failed] = co_await port->descriptor.async_wait(asio::posix::stream_descriptor::wait_read, as_value);
      if (failed) co_return;
      calls_ += calls_per_wait;
    }
    if (!port->socket) co_return;
    const Now now = read_clocks();
    may_have_more = true;
    bool has_failed = false;
    for (int i = 0; i < batches_per_turn; ++i) {
      const auto received = port->socket->try_receive(receive_batch_);
      ++calls_;
      if (!received) {
        may_have_more = false;
        has_failed = true;
        if (read_errors_.allow(now.time)) spdlog::warn("receiving datagrams: {}", received.error().message());
        break;
      }
      if (received->empty()) {
        may_have_more = false;
        break;
      }
      for (const ReceivedDatagram& datagram : *received) forward_inbound(datagram, now);
      flush_frames();
      if (received->size() < receive_batch_.slots()) {
        may_have_more = false;
        break;
      }
    }
    // The kernel often answers while a frame is written to it: that saves waiting for the device.
    if (device_port_ && !has_failed) (void)forward_from(*device_port_->device, now);
    finish_burst();
    if (has_failed) co_await pause();
  }
}

std::size_t Worker::forward_outbound(const TunDevice& device, const VirtioNetHeader& header, ByteSpan frame,
                                     const Now& now) noexcept {
  std::size_t l2_length = 0;
  if (device.layer() == DeviceLayer::Ethernet) {
    const auto ethernet = parse_ethernet_header(frame);
    if (!ethernet) {
      engine_.take()->count_drop(ethernet.error());
      return 1;
    }
    l2_length = ethernet->length;
  }
  if (const auto verdict = segmenter_.begin(header, frame, l2_length); !verdict) {
    engine_.take()->count_drop(verdict.error());
    return 1;
  }
  ByteSpan next = segmenter_.next();
  std::optional<Sealing> sealing;
  {
    const auto engine = engine_.take();
    sealing = engine->admit(next, segmenter_.count(), segmenter_.size(), now);
    if (!sealing) {
      const std::size_t largest = engine->largest_frame(next, now);
      if (next.size() > largest && segmenter_.cut_to(largest)) {
        next = segmenter_.next();
        sealing = engine->admit(next, segmenter_.count(), segmenter_.size(), now);
      }
    }
    if (!sealing) {
      for (; !next.empty(); next = segmenter_.next()) engine->on_frame(next, now, datagrams_);
      if (const ByteSpan answer = engine->take_answer(); !answer.empty()) {
        // It lies in memory that others may use after this turn.
        frames_.put(answer);
        frames_.flush();
      }
    }
  }
  if (sealing) {
    std::uint64_t lost = 0;
    for (; !next.empty(); next = segmenter_.next()) lost += !sealing->seal_with_room(next, datagrams_);
    if (lost != 0) engine_.take()->count_drop(DropReason::BatchFull, lost);
    if (sealing->needs_rekey()) engine_.take()->renew(sealing->peer(), now, datagrams_);
  }
  if (datagrams_.size() >= bytes_per_flush) datagrams_.flush();
  return segmenter_.count();
}

void Worker::forward_inbound(const ReceivedDatagram& datagram, const Now& now) noexcept {
  if (datagram.is_truncated) return engine_.take()->count_drop(DropReason::Truncated);
  ByteSpan rest = datagram.bytes;
  do {
    std::size_t count = 0;
    const ByteSpan behind = take_run(rest, datagram.segment_size, count);
    if (count == 0) {
      const ByteSpan one = rest.first(std::min(rest.size(), datagram.segment_size));
      const auto engine = engine_.take();
      engine->on_datagram(datagram.path, datagram.traffic_class, one, now, frames_, datagrams_);
      send_during_turn();
      rest = rest.subspan(one.size());
    } else {
      open_run(datagram, count, now);
      rest = behind;
    }
  } while (!rest.empty());
}

/// Puts data messages for one session that come one after the other into messages_; returns what is behind them.
ByteSpan Worker::take_run(ByteSpan datagrams, std::size_t segment_size, std::size_t& count) noexcept {
  while (!datagrams.empty() && count < messages_.size()) {
    const ByteSpan one = datagrams.first(std::min(datagrams.size(), segment_size));
    const Verdict<Message> parsed = parse_message(one);
    const auto* data = parsed ? std::get_if<MessageData>(&*parsed) : nullptr;
    if (!data || (count != 0 && data->receiver != messages_[0].receiver)) break;
    messages_[count++] = *data;
    datagrams = datagrams.subspan(one.size());
  }
  return datagrams;
}

void Worker::open_run(const ReceivedDatagram& datagram, std::size_t count, const Now& now) noexcept {
  const std::shared_ptr<Session> session = engine_.take()->find_session(messages_[0].receiver);
  if (!session) return engine_.take()->count_drop(DropReason::UnknownIndex, count);
  for (std::size_t i = 0; i < count; ++i) opened_[i] = session->decrypt(messages_[i], now.time);
  {
    const auto engine = engine_.take();
    for (std::size_t i = 0; i < count; ++i) {
      opened_[i] =
          engine->accept(*session, messages_[i], opened_[i], datagram.path, datagram.traffic_class, now, datagrams_);
      opened_[i] = kept(*opened_[i], messages_[i].sealed);
    }
    send_during_turn();
  }
  for (std::size_t i = 0; i < count; ++i) {
    if (!opened_[i]->empty()) frames_.put(*opened_[i]);
  }
  // Room for the next run.
  if (kept_size_ > kept_size_max) flush_frames();
}

/// A frame that was put together lies in the engine's memory, which another worker may use after this turn.
ByteSpan Worker::kept(ByteSpan frame, ByteSpan message) noexcept {
  const bool is_in_message = frame.data() >= message.data() && frame.data() < message.data() + message.size();
  if (frame.empty() || is_in_message) return frame;
  const ByteSpan copy(kept_.get() + kept_size_, frame.size());
  copy_bytes(frame, copy);
  kept_size_ += frame.size();
  return copy;
}

void Worker::flush_frames() noexcept {
  frames_.flush();
  kept_size_ = 0;
}

asio::awaitable<void> Worker::keep_deadlines(std::shared_ptr<Port> port) {
  for (;;) {
    const auto [failed] = co_await port->descriptor.async_wait(asio::posix::stream_descriptor::wait_read, as_value);
    if (failed) co_return;
    calls_ += calls_per_wait + 1;
    timer_.acknowledge();
    on_deadline();
  }
}

asio::awaitable<void> Worker::pause() {
  asio::steady_timer timer(io_, error_pause);
  co_await timer.async_wait(as_value);
}

void Worker::settings_changed() {
  on_deadline();
}

void Worker::on_deadline() {
  {
    const auto engine = engine_.take();
    engine_.timer_set.reset();
    engine->on_deadline(read_clocks(), datagrams_);
    send_during_turn();
  }
  finish_burst();
}

/// What waited for a session leaves before another worker can seal what came after it.
void Worker::send_during_turn() noexcept {
  if (engine_.is_shared() && datagrams_.size() != 0) datagrams_.flush();
}

void Worker::finish_burst() {
  datagrams_.flush();
  if (!notify_) return attend();
  bool is_wanted = false;
  {
    const auto engine = engine_.take();
    const auto deadline = engine->next_deadline();
    is_wanted = engine->has_events() || (deadline && (!engine_.timer_set || *deadline < *engine_.timer_set));
    told_ = counters();
  }
  if (is_wanted) notify_();
}

void Worker::attend() {
  while (const auto event = engine_.take()->poll_event()) {
    if (on_event) on_event(*event);
  }
  // An early deadline only costs a look; setting the timer again for each packet would cost a system call.
  const auto engine = engine_.take();
  const auto deadline = engine->next_deadline();
  if (deadline && (!engine_.timer_set || *deadline < *engine_.timer_set)) {
    timer_.set(deadline);
    ++calls_;
    engine_.timer_set = deadline;
  }
}

Worker::Counters Worker::counters() const noexcept {
  Counters counters;
  counters.drops.count(DropReason::SocketError, datagrams_.counters().refused);
  counters.drops.count(DropReason::DeviceError, frames_.refused());
  counters.system_calls = calls_ + datagrams_.counters().calls + frames_.writes();
  return counters;
}

}  // namespace culvert
