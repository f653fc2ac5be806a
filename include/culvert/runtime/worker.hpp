// One thread's packet work: waits on the device, the sockets and the clock, and drives the engine.
#pragma once

#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <functional>
#include <memory>
#include <vector>

#include "culvert/base/drop_reason.hpp"
#include "culvert/forwarding/segmenter.hpp"
#include "culvert/io/boot_timer.hpp"
#include "culvert/io/datagram_batch.hpp"
#include "culvert/io/tun_device.hpp"
#include "culvert/io/udp_socket.hpp"
#include "culvert/runtime/device_writer.hpp"
#include "culvert/runtime/log.hpp"
#include "culvert/runtime/shared_engine.hpp"
#include "culvert/runtime/wakefulness.hpp"

namespace culvert {

/// Waiting is done by coroutines, one per source; packets move in plain batched calls, run to completion, with one
/// reading of the clocks per burst. All on the io_context's single thread. Errors of the kernel cost the packets at
/// hand and a short pause, never the loop.
class Worker {
 public:
  /// All references outlive the worker, and the io_context has stopped running when it is destroyed.
  Worker(boost::asio::io_context& io, SharedEngine& engine, UdpSocketPair& sockets);
  /// One that helps another: it leaves events and deadlines to that one, and calls `notify`, on its own thread, when
  /// there is something for attend().
  Worker(boost::asio::io_context& io, SharedEngine& engine, UdpSocketPair& sockets, std::function<void()> notify);
  ~Worker();

  /// Called after each burst for each event of the engine.
  std::function<void(const Event&)> on_event;
  /// Called once when the device turns out to be deleted; set_device() may be called from here or later.
  std::function<void()> on_device_lost;

  /// Told of frames that come one at a time; may be null.
  std::unique_ptr<Wakefulness> wakefulness;

  /// Carries frames of `device` from now on, of none if null. The device outlives this choice.
  void set_device(TunDevice* device);
  /// Sends and receives with `fresh` from now on; the old sockets, whose place they take, are closed. Throws
  /// std::system_error; then nothing has changed.
  void replace_sockets(UdpSocketPair&& fresh);
  /// Passes events on and sees to deadlines.
  void attend();
  /// After the engine's settings were changed: does what is due and waits for the new deadline.
  void settings_changed();

  /// What this worker lost for other reasons than the engine's. Of a helper: as of its last burst, during a turn.
  [[nodiscard]] DropCounters drops() const noexcept { return notify_ ? told_.drops : counters().drops; }
  /// System calls for packets so far, waiting for them included; as drops().
  [[nodiscard]] std::uint64_t system_calls() const noexcept {
    return notify_ ? told_.system_calls : counters().system_calls;
  }
  [[nodiscard]] const DatagramBatch& datagrams() const noexcept { return datagrams_; }
  [[nodiscard]] const DeviceWriter& frames() const noexcept { return frames_; }

 private:
  /// As many as the kernel merges (UDP_GRO_CNT_MAX in net/ipv4/udp_offload.c).
  static constexpr std::size_t messages_per_run = 64;
  static constexpr std::size_t kept_size_max = messages_per_run * limits::fragmented_frame_max;
  struct Port;
  boost::asio::awaitable<void> carry_outbound(std::shared_ptr<Port> port);
  boost::asio::awaitable<void> carry_inbound(std::shared_ptr<Port> port);
  boost::asio::awaitable<void> keep_deadlines(std::shared_ptr<Port> port);
  boost::asio::awaitable<void> pause();
  /// What a source has after its turn.
  enum class Left { Nothing, More, Lost, Failed };
  [[nodiscard]] Left forward_from(TunDevice& device, const Now& now) noexcept;
  [[nodiscard]] std::size_t forward_outbound(const TunDevice& device, const VirtioNetHeader& header, ByteSpan frame,
                                             const Now& now) noexcept;
  void forward_inbound(const ReceivedDatagram& datagram, const Now& now) noexcept;
  [[nodiscard]] ByteSpan take_run(ByteSpan datagrams, std::size_t segment_size, std::size_t& count) noexcept;
  void open_run(const ReceivedDatagram& datagram, std::size_t count, const Now& now) noexcept;
  [[nodiscard]] ByteSpan kept(ByteSpan frame, ByteSpan message) noexcept;
  void flush_frames() noexcept;
  struct Counters {
    DropCounters drops;
    std::uint64_t system_calls = 0;
  };
  [[nodiscard]] Counters counters() const noexcept;
  [[nodiscard]] std::vector<std::shared_ptr<Port>> open_ports(const UdpSocketPair& sockets);
  void on_deadline();
  void send_during_turn() noexcept;
  void finish_burst();

  boost::asio::io_context& io_;
  SharedEngine& engine_;
  std::function<void()> notify_;  ///< of a helper
  UdpSocketPair& sockets_;
  DatagramBatch datagrams_;
  DeviceWriter frames_;
  Segmenter segmenter_;
  ReceiveBatch receive_batch_;
  std::array<MessageData, messages_per_run> messages_;
  std::array<Verdict<ByteSpan>, messages_per_run> opened_;
  std::uint64_t calls_ = 0;  ///< of the kernel, beside those of datagrams_ and frames_
  Counters told_;            ///< of a helper, for others to read during a turn
  std::vector<std::byte> frame_buffer_;
  /// Frames that came in pieces, until they are written.
  std::unique_ptr<std::byte[]> kept_;
  std::size_t kept_size_ = 0;
  std::size_t last_reads_ = 0;  ///< of the device in its last turn
  BootTimer timer_;
  std::shared_ptr<Port> device_port_;
  std::shared_ptr<Port> timer_port_;
  std::vector<std::shared_ptr<Port>> socket_ports_;
  LogLimit read_errors_;
};

}  // namespace culvert
