// The whole contract of the pure half: frames, datagrams and time in; datagrams, frames and events out.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>

#include "culvert/base/random.hpp"
#include "culvert/base/result.hpp"
#include "culvert/base/sinks.hpp"
#include "culvert/base/time.hpp"
#include "culvert/engine/deadline_queue.hpp"
#include "culvert/engine/device_change.hpp"
#include "culvert/engine/event.hpp"
#include "culvert/engine/peer_directory.hpp"
#include "culvert/engine/sealing.hpp"
#include "culvert/engine/staged_frames.hpp"
#include "culvert/engine/switching.hpp"
#include "culvert/forwarding/packet_too_big.hpp"
#include "culvert/forwarding/prefix_table.hpp"
#include "culvert/protocol/cookie.hpp"
#include "culvert/protocol/rate_limiter.hpp"
#include "culvert/protocol/reassembler.hpp"
#include "culvert/protocol/tai64n.hpp"

namespace culvert {

/// One WireGuard device with any number of peers. Knows no system call: the caller brings time and memory, and calls
/// on_deadline() no later than next_deadline() says. One thread at a time. No call on the packet path allocates once
/// the peer has a session, throws, or blocks.
class Engine {
 public:
  /// `random` outlives the engine. `mtu` of the device, for padding. Until a private key is set nothing is sent or
  /// accepted.
  Engine(Random& random, std::size_t mtu);
  ~Engine();
  Engine(const Engine&) = delete;
  Engine& operator=(const Engine&) = delete;

  // Packets and time.

  /// A frame from the device. Sealed into `out` at once, or copied and staged while a handshake runs.
  void on_frame(ByteView frame, const Now& now, DatagramSink& out) noexcept;
  /// The same in parts, so that threads which take turns at the engine can work with a session at once: on_frame() is
  /// admit(), Sealing::seal(), and renew() if that is needed.
  ///
  /// `count` frames in a row whose headers are those of `head`, the first of them, in all respects that count here;
  /// `bytes` is the size of all. Nothing when they are for on_frame(), one by one: to be dropped, or to wait for a
  /// session.
  [[nodiscard]] std::optional<Sealing> admit(ByteView head, std::size_t count, std::size_t bytes,
                                             const Now& now) noexcept;
  /// Begins the handshake for the next session of a peer.
  void renew(PeerId peer, const Now& now, DatagramSink& out) noexcept;

  /// Likewise for data that arrives: on_datagram() is find_session(), Session::decrypt() and accept().
  ///
  /// Null if there is none: the message is to be counted as UnknownIndex.
  [[nodiscard]] std::shared_ptr<Session> find_session(SessionIndex receiver) noexcept;
  /// `opened` is what `session` made of `message`. The frame for the device, or nothing; lies in the message or, when
  /// it came in pieces, in memory of the engine's, until its next call.
  [[nodiscard]] ByteSpan accept(const Session& session, const MessageData& message, const Verdict<ByteSpan>& opened,
                                const Path& from, std::uint8_t traffic_class, const Now& now,
                                DatagramSink& out) noexcept;

  /// A datagram that came along `from`, in an IP packet of `traffic_class`. Opened in place: `datagram` is overwritten,
  /// and frames put into `frames` lie in it, or where accept() has them. Answers, and frames that waited, go to `out`.
  void on_datagram(const Path& from, std::uint8_t traffic_class, ByteSpan datagram, const Now& now, FrameSink& frames,
                   DatagramSink& out) noexcept;
  /// Does all that is due.
  void on_deadline(const Now& now, DatagramSink& out) noexcept;
  /// When on_deadline() has something to do; may be earlier than strictly needed.
  [[nodiscard]] std::optional<Timestamp> next_deadline() const noexcept { return deadlines_.earliest(); }
  /// Takes the oldest event. At most 256 are kept: poll after each burst.
  [[nodiscard]] std::optional<Event> poll_event() noexcept { return events_.poll(); }
  [[nodiscard]] bool has_events() const noexcept { return !events_.empty(); }
  /// The largest frame that goes to the same peer as `head`, the first of several, in one piece. No bound for what is
  /// not to be sealed now.
  [[nodiscard]] std::size_t largest_frame(ByteView head, const Now& now) noexcept;
  /// What the last on_frame() has to say to the sender of the frame: an ICMP error for the device, or nothing. Valid
  /// until the next call; told once.
  [[nodiscard]] ByteSpan take_answer() noexcept { return std::exchange(answer_, {}); }
  /// Counts a packet that died outside, so that one table has all of them.
  void count_drop(DropReason reason, std::uint64_t packets = 1) noexcept { drops_.count(reason, packets); }

  // Benchmarks through the tunnel. What is asked and answered leaves with the next on_deadline(), which is due at once.

  /// Asks a peer whether it allows one; begins a handshake if need be and says it again until there is an answer, for
  /// limits::bench_request_time. Only a peer that said that it knows what that is hears of it.
  void ask_for_bench(PeerId peer, const BenchNumber& number, const Now& now);
  /// What came of it, once, after EventKind::BenchAnswered.
  [[nodiscard]] std::optional<BenchAnswer> take_bench_answer(PeerId peer) noexcept;
  /// What a peer asked, once, after EventKind::BenchAsked; may be the same again if our answer was lost.
  [[nodiscard]] std::optional<BenchNumber> take_bench_request(PeerId peer) noexcept;
  void answer_bench(PeerId peer, BenchAnswer&& answer, const Now& now);

  // Settings. Between packets, on the same thread.

  /// A zero key takes the identity away. Setting the present key again changes nothing; another one ends all sessions
  /// and removes the peer that has our new public key, if any.
  void set_private_key(SecretKey key);
  /// Null without a private key.
  [[nodiscard]] const Identity* identity() const noexcept { return cookies_ ? identity_.get() : nullptr; }
  void set_mtu(std::size_t mtu) noexcept { mtu_ = mtu; }
  /// Whether the device is up, as it is at first. While it is down nothing is accepted, and nothing sent but what comes
  /// from the device; sessions stay, and grow old. When it comes up, peers with a session or a persistent keepalive are
  /// sent one at the next on_deadline(), as by wg_open() of the kernel's device.c.
  void set_link_up(bool is_up, const Now& now) noexcept;
  /// What sessions seal their data with; ChaCha20-Poly1305 at first. Requires is_usable(choice.suite()). Setting the
  /// present one again changes nothing; another one ends all sessions.
  void set_cipher(CipherChoice choice) noexcept;
  [[nodiscard]] CipherChoice cipher() const noexcept { return cipher_; }

  /// What frames are: IP packets at first. Another mode ends all sessions.
  void set_mode(DeviceMode mode);
  [[nodiscard]] DeviceMode mode() const noexcept { return mode_; }
  /// Both of a switched device; of no consequence for another.
  void set_own_address(MacAddress address) noexcept;
  void set_switching(const SwitchSettings& settings) noexcept;
  /// What hellos say from now on that is understood here.
  void set_features(Features features) noexcept { features_ = features; }
  [[nodiscard]] Features features() const noexcept { return features_; }

  /// Makes all of the change; no packet sees a part of it. Peers that would be ourselves are passed over. Port and mark
  /// are not the engine's business.
  void apply(DeviceChange&& change, const Now& now);

  /// The peer with this key, made if there is none. Null for our own key.
  Peer* ensure_peer(const PublicKey& key);
  [[nodiscard]] const Peer* find_peer(const PublicKey& key) const noexcept;
  [[nodiscard]] const Peer* find_peer(PeerId id) const noexcept { return peers_.find(id); }
  /// Wipes its keys; its prefixes go with it.
  void remove_peer(PeerId id) noexcept;
  /// Takes effect at the next handshake; sessions stay (W-19).
  void set_preshared_key(PeerId id, PresharedKey key) noexcept;
  void set_endpoint(PeerId id, const Endpoint& endpoint) noexcept;
  /// What the kernel's route to the peer's endpoint carries: bytes of IP packets.
  void set_route_mtu(PeerId id, std::size_t mtu, const Now& now) noexcept;
  /// Routing chooses from which address the next packets go to the peer, for a second at least: then also what was
  /// already on its way to the old one does not bring that back.
  void free_source(PeerId id, const Now& now) noexcept;
  /// The same for all peers. Those with a session are sent a keepalive at the next on_deadline(), so that they learn
  /// where we are now.
  void free_sources(const Now& now) noexcept;
  /// Finds out whether the peer answers at `candidate`: its next initiation goes there, once, and is begun without
  /// further reason if there is a session to be renewed. All else goes along the present path, also the initiation
  /// after that one, until an authenticated answer moves the path. A peer without a path has it set.
  void probe_endpoint(PeerId id, const Endpoint& candidate, const Now& now) noexcept;
  /// From 0 to something: one keepalive is sent at the next on_deadline().
  void set_persistent_keepalive(PeerId id, std::chrono::seconds interval, const Now& now) noexcept;
  /// Moves the prefix here if another peer had it.
  void add_allowed_ip(PeerId id, const Prefix& prefix) {
    prefixes_.insert(prefix, id);
    restrict_sources();
  }
  void remove_allowed_ip(PeerId id, const Prefix& prefix) {
    prefixes_.remove(prefix, id);
    restrict_sources();
  }
  void clear_allowed_ips(PeerId id) {
    prefixes_.remove_all(id);
    restrict_sources();
  }

  /// Continues above a timestamp sent in an earlier life (W-22).
  void restore_timestamp(const Tai64n& last) noexcept { timestamps_.restore(last); }
  /// The greatest timestamp sent; to be remembered across restarts.
  [[nodiscard]] const Tai64n& last_timestamp() const noexcept { return timestamps_.last(); }

  // Status.

  [[nodiscard]] const PeerDirectory& peers() const noexcept { return peers_; }
  [[nodiscard]] const PrefixTable& prefixes() const noexcept { return prefixes_; }
  /// Null unless the device is switched.
  [[nodiscard]] const EthernetSwitch* ethernet() const noexcept;
  [[nodiscard]] const DropCounters& drops() const noexcept { return drops_; }

 private:
  // Outbound.
  void send_frame(Peer& peer, ByteView frame, const Now& now, DatagramSink& out) noexcept;
  /// What is to be sealed for a peer: `count` plaintexts of `size` bytes, but for the last; `bytes` in all.
  struct Run {
    std::size_t size;
    std::size_t count;
    std::size_t bytes;
    std::uint8_t traffic_class;
    bool is_data;  ///< an answer is to be expected
    bool is_ethernet = false;
  };
  /// `count` frames like `head`, or a keepalive if that is empty.
  [[nodiscard]] Run run_of(ByteView head, std::size_t count, std::size_t bytes) const noexcept;
  void send_whole_frame(Peer& peer, ByteView frame, const Run& run, const Now& now, DatagramSink& out) noexcept;
  [[nodiscard]] Sealing begin_sealing(Peer& peer, const Run& run, const Now& now) noexcept;
  /// As far as there is a session, and the peer fits; if it turned out not to, they are dropped.
  void send_staged(Peer& peer, const Now& now, DatagramSink& out) noexcept;
  void send_keepalive(Peer& peer, const Now& now, DatagramSink& out) noexcept;
  /// Unless one left less than limits::rekey_timeout ago.
  void send_initiation(Peer& peer, bool is_retry, const Now& now, DatagramSink& out) noexcept;
  void send_response(Peer& peer, const Now& now, DatagramSink& out) noexcept;
  bool send_handshake_message(Peer& peer, const Path& path, ByteSpan message, const Now& now,
                              DatagramSink& out) noexcept;

  // What two culverts agree on.
  void attend_agreement(Peer& peer, const Now& now, DatagramSink& out) noexcept;
  void send_hello(Peer& peer, const Now& now, DatagramSink& out) noexcept;
  /// Seals an envelope that stands for no frame: like a keepalive, it asks for no answer and begins no handshake.
  /// False when it could not be.
  bool send_control(Peer& peer, ByteView envelope, const Now& now, DatagramSink& out) noexcept;
  /// The frame for the device that is in `plaintext`, or nothing.
  [[nodiscard]] ByteSpan accept_envelope(Peer& peer, const Session& session, ByteSpan plaintext,
                                         std::uint8_t traffic_class, const Now& now, DatagramSink& out) noexcept;
  void accept_hello(Peer& peer, const Session& session, ByteView body, const Now& now, DatagramSink& out) noexcept;

  // Benchmarks, in bench_consent.cpp.
  void attend_bench(Peer& peer, const Now& now, DatagramSink& out) noexcept;
  void accept_bench_request(Peer& peer, ByteView body, const Now& now) noexcept;
  /// Wipes `body`.
  void accept_bench_answer(Peer& peer, ByteSpan body) noexcept;

  // Ethernet, in switching.cpp.
  [[nodiscard]] std::optional<Sealing> admit_ethernet(ByteView head, std::size_t count, std::size_t bytes,
                                                      const Now& now) noexcept;
  void on_ethernet_frame(ByteView frame, const Now& now, DatagramSink& out) noexcept;
  /// `frame` if it is for the device, too. Lies in an opened message, whose memory reaches beyond it on both sides.
  [[nodiscard]] ByteSpan accept_ethernet(Peer& peer, ByteSpan frame, std::uint8_t traffic_class, const Now& now,
                                         DatagramSink& out) noexcept;
  /// Finds out which peers have AllowedIPs, after these changed.
  void restrict_sources();
  [[nodiscard]] Verdict<void> check_source(PeerId peer, const EthernetHeader& header, ByteView frame) const noexcept;
  [[nodiscard]] bool is_too_large(const EthernetHeader& header, ByteView frame) const noexcept;
  /// No plaintext is padded beyond it.
  [[nodiscard]] std::size_t plaintext_max() const noexcept;
  /// Seals with `seal`, or lets the frame wait for a session.
  template <class Seal>
  void deliver(Peer& peer, ByteView frame, const Seal& seal, const Now& now, DatagramSink& out) noexcept;
  /// Sends a probe by each port if it is time: flooded traffic passes.
  void probe_for_loops(const Now& now, DatagramSink& out) noexcept;
  /// A probe came from `from`: takes it if it is ours. False when it goes no further.
  [[nodiscard]] bool may_pass_on(const WireLoopProbe& probe, SwitchPort from, const Now& now,
                                 DatagramSink& out) noexcept;
  /// Blocks and opens ports as the loop guard wants.
  void attend_loops(const Now& now) noexcept;
  template <class Seal>
  void flood(SwitchPort from, ByteView frame, const Seal& seal, const Now& now, DatagramSink& out) noexcept;

  // What the path carries.
  /// After something changed that decides over probes: what the peer said, its endpoint, the route.
  void follow_path(Peer& peer) noexcept;
  /// The peer is somewhere else: nothing is known of the way there.
  void begin_path(Peer& peer) noexcept;
  void attend_path(Peer& peer, const Now& now, DatagramSink& out) noexcept;
  /// The plaintext that a message may hold on the way to the peer.
  [[nodiscard]] static std::size_t path_max(const Peer& peer) noexcept {
    return peer.path_mtu.is_on() ? peer.path_mtu.size() - limits::data_overhead : ~std::size_t{0};
  }
  /// A frame larger than that: its sender is told, or it goes in pieces.
  void send_large_frame(Peer& peer, ByteView frame, const Now& now, DatagramSink& out) noexcept;
  [[nodiscard]] bool refuse_large_packet(Peer& peer, ByteView packet, const Now& now) noexcept;
  void accept_probe(Peer& peer, ByteView body, const Now& now, DatagramSink& out) noexcept;
  void accept_probe_ack(Peer& peer, ByteView body, const Now& now) noexcept;
  /// The frame that is complete with it, or nothing; `traffic_class` becomes that of the whole.
  [[nodiscard]] ByteSpan accept_fragment(Peer& peer, ByteView body, std::uint8_t& traffic_class,
                                         const Now& now) noexcept;

  // Inbound.
  /// The packet for the device that `plaintext` is, or nothing.
  [[nodiscard]] ByteSpan accept_packet(const Peer& peer, ByteSpan plaintext, std::uint8_t traffic_class) noexcept;
  void on_initiation(const Path& from, const MessageInitiation& message, const Now& now, DatagramSink& out) noexcept;
  void on_response(const Path& from, const MessageResponse& message, const Now& now, DatagramSink& out) noexcept;
  void on_cookie_reply(const MessageCookieReply& message, const Now& now) noexcept;
  void on_data(const Path& from, std::uint8_t traffic_class, const MessageData& message, const Now& now,
               FrameSink& frames, DatagramSink& out) noexcept;
  /// mac1 always; mac2 and the rate limit under load. False: dropped and counted, perhaps answered with a cookie.
  bool admit_handshake(const Path& from, ByteView message, SessionIndex sender, const Now& now,
                       DatagramSink& out) noexcept;
  void authenticated_packet_received(Peer& peer, const Path& from, std::size_t bytes, const Now& now) noexcept;
  void session_confirmed(Peer& peer, const Now& now) noexcept;

  /// `is_done` tells by slot which peers the change has come by already.
  void apply(PeerChange&& change, bool starts_from_nothing, std::vector<bool>& is_done, const Now& now);
  /// Removes a peer that has no prefixes.
  void forget_peer(PeerId id) noexcept;

  void wipe_sessions(Peer& peer) noexcept;
  void wipe_handshake(Peer& peer) noexcept;
  void release(const ReleasedIndices& indices) noexcept;
  /// Of a peer that nothing may be sent to: keys go when they are old.
  void grow_old(Peer& peer, const Now& now, DatagramSink& out) noexcept;
  void carry_out(TimerAction action, Peer& peer, const Now& now, DatagramSink& out) noexcept;
  void schedule(const Peer& peer, Timestamp now) noexcept;
  [[nodiscard]] Timers::Duration jitter() noexcept;

  Random& random_;
  std::size_t mtu_;
  bool is_up_ = true;
  CipherChoice cipher_;
  std::optional<CipherSuite> second_suite_;  ///< that new sessions have keys of as well
  DeviceMode mode_ = DeviceMode::Routed;
  Features features_;
  std::unique_ptr<Switching> switching_;  ///< of a switched device
  std::unique_ptr<Identity> identity_;
  std::unique_ptr<CookieChecker> cookies_;
  Tai64nSource timestamps_;
  RateLimiter rate_limiter_;
  LoadMeter load_;
  PeerDirectory peers_;
  PrefixTable prefixes_;
  StagedFrames staged_;
  DeadlineQueue deadlines_;
  EventQueue events_;
  DropCounters drops_;
  Reassembler reassembler_;
  ErrorLimit errors_;
  std::array<std::byte, packet_too_big_size_max> answer_memory_;
  ByteSpan answer_;
  std::uint64_t jitter_state_;
};

}  // namespace culvert
