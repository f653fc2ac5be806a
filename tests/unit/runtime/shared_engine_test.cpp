// Threads that take turns at an engine, and work with one session beside it.
#include "culvert/runtime/shared_engine.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <thread>

#include "culvert/base/endian.hpp"
#include "culvert/crypto/initialize.hpp"
#include "culvert/crypto/key_exchange.hpp"
#include "culvert/protocol/limits.hpp"
#include "support/packet_builder.hpp"
#include "support/recording_sinks.hpp"
#include "support/seeded_random.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;

TEST(SharedEngine, takes_no_lock_as_long_as_it_is_not_shared) {
  SeededRandom random(1);
  SharedEngine engine(random, limits::default_mtu);
  const auto turn = engine.take();
  std::thread([&] { EXPECT_FALSE(engine.take()->has_events()); }).join();
}

TEST(SharedEngine, gives_turns_one_after_the_other_when_shared_and_again_to_whoever_has_one) {
  SeededRandom random(1);
  SharedEngine engine(random, limits::default_mtu);
  engine.share(true);
  std::atomic<bool> had_turn = false;
  std::thread other;
  {
    const auto turn = engine.take();
    const auto nested = engine.take();
    EXPECT_EQ(&*turn, &*nested);
    other = std::thread([&] {
      const auto later = engine.take();
      had_turn = true;
    });
    std::this_thread::sleep_for(20ms);
    EXPECT_FALSE(had_turn);
  }
  other.join();
  EXPECT_TRUE(had_turn);
}

constexpr unsigned threads_per_end = 4;
constexpr unsigned runs_per_thread = 40;
constexpr unsigned frames_per_run_max = 7;
/// Fewer than the replay window takes, so that a thread may sleep for as long as a round.
constexpr unsigned ids_per_thread = runs_per_thread * frames_per_run_max;
constexpr unsigned ids_per_round = threads_per_end * ids_per_thread;
constexpr unsigned rounds_max = 8;

/// One end: an engine, and the datagrams on their way to it.
struct End {
  End(std::uint64_t seed, const char* where, const char* inside)
      : random((initialize_crypto(), seed)),
        engine(random, limits::default_mtu),
        endpoint(*Endpoint::parse(where)),
        inner(*Address::parse(inside)),
        arrivals(rounds_max * ids_per_round) {
    engine.share(true);
    SecretKey secret = generate_secret_key(random);
    public_key = public_key_of(secret);
    engine.take()->set_private_key(std::move(secret));
  }

  [[nodiscard]] PeerChange as_peer() const {
    PeerChange change;
    change.public_key = public_key;
    change.endpoint = endpoint;
    change.replace_allowed_ips = true;
    change.allowed_ips.push_back({{inner, 32}});
    return change;
  }

  /// What `sink` has is on its way here; one data message in seven twice.
  void send(RecordingDatagramSink& sink) {
    const std::lock_guard lock(mutex);
    for (SentDatagram& datagram : sink.take()) {
      const auto parsed = parse_message(datagram.bytes);
      const auto* data = parsed ? std::get_if<MessageData>(&*parsed) : nullptr;
      if (data) {
        counters[data->receiver.value()].push_back(data->counter);
        if (data->counter % 7 == 0) {
          ++duplicates;
          ++under_way;
          inbox.push_back(datagram);
        }
      }
      ++under_way;
      inbox.push_back(std::move(datagram));
    }
  }

  bool take(SentDatagram& datagram) {
    const std::lock_guard lock(mutex);
    if (inbox.empty()) return false;
    const bool is_overtaking = ++taken % 3 == 0;
    datagram = std::move(is_overtaking ? inbox.back() : inbox.front());
    if (is_overtaking) {
      inbox.pop_back();
    } else {
      inbox.pop_front();
    }
    return true;
  }

  SeededRandom random;
  SharedEngine engine;
  Endpoint endpoint;
  Address inner;
  PublicKey public_key;

  std::atomic<std::size_t> under_way = 0;  ///< sent here and not yet dealt with
  std::vector<std::atomic<int>> arrivals;  ///< by the number a frame carries
  std::mutex mutex;
  std::deque<SentDatagram> inbox;
  std::size_t taken = 0;
  std::uint64_t duplicates = 0;
  std::map<std::uint32_t, std::vector<std::uint64_t>> counters;  ///< used, by the receiver's index
};

/// Two ends, each with as many threads as workers would be.
class Hammer {
 public:
  explicit Hammer(CipherChoice choice) {
    for (End* end : {&a_, &b_}) end->engine.take()->set_cipher(choice);
    introduce(a_, b_);
    introduce(b_, a_);
    send_one(a_, b_);
    settle();
  }

  void introduce(End& end, const End& other) {
    DeviceChange change;
    change.peers.push_back(other.as_peer());
    end.engine.take()->apply(std::move(change), now_);
  }

  /// All threads at both ends send their share and take what arrives, with `meanwhile` on one more.
  template <class Meanwhile>
  void round(Meanwhile meanwhile) {
    std::atomic<unsigned> senders = 2 * threads_per_end;
    std::vector<std::thread> threads;
    for (unsigned number = 0; number < threads_per_end; ++number) {
      threads.emplace_back([&, number] { work(a_, b_, number, senders); });
      threads.emplace_back([&, number] { work(b_, a_, number, senders); });
    }
    threads.emplace_back([&] { meanwhile(senders); });
    for (std::thread& thread : threads) thread.join();
    ++rounds_;
  }

  void advance(std::chrono::seconds by) {
    now_.time += by;
    now_.wall += by;
  }

  /// One thread does what is due and delivers, until there is silence.
  void settle() {
    for (End* end : {&a_, &b_}) on_deadline(*end);
    RecordingDatagramSink out;
    while (receive_one(a_, b_, out) || receive_one(b_, a_, out)) {
    }
  }
  void on_deadline(End& end) {
    RecordingDatagramSink out;
    end.engine.take()->on_deadline(now_, out);
    other(end).send(out);
  }
  void send_one(End& from, End& to) {
    RecordingDatagramSink out;
    from.engine.take()->on_frame(frame(from, to, 0, 64), now_, out);
    to.send(out);
  }

  End& other(const End& end) { return &end == &a_ ? b_ : a_; }
  End& a() { return a_; }
  End& b() { return b_; }
  const Now& now() const { return now_; }

  /// Numbers up to `ids` came `times` each, from the first round's on.
  void expect_arrivals(const std::function<bool(int)>& is_right) {
    for (End* end : {&a_, &b_}) {
      std::size_t wrong = 0;
      for (unsigned id = 1; id < rounds_ * ids_per_round; ++id) wrong += sent_[id] && !is_right(end->arrivals[id]);
      EXPECT_EQ(wrong, 0u);
    }
  }
  /// Each counter of each session was used, and by one message.
  void expect_counters_in_a_row() {
    for (End* end : {&a_, &b_}) {
      for (auto& [index, used] : end->counters) {
        std::ranges::sort(used);
        for (std::size_t i = 0; i < used.size(); ++i) ASSERT_EQ(used[i], i) << "session " << index;
      }
    }
  }
  const Peer& peer_at(End& end) { return *end.engine.take()->find_peer(other(end).public_key); }

 private:
  static Bytes frame(const End& from, const End& to, std::uint64_t id, std::size_t size) {
    Bytes payload(std::max<std::size_t>(size, 8));
    store<Le64>(payload.data(), id);
    return PacketBuilder{from.inner, to.inner}.udp(payload);
  }

  void work(End& end, End& far, unsigned number, std::atomic<unsigned>& senders) {
    RecordingDatagramSink out;
    unsigned id = rounds_ * ids_per_round + number * ids_per_thread;
    for (unsigned run = 0; run < runs_per_thread; ++run) {
      const unsigned count = 1 + (run + number) % frames_per_run_max;
      std::vector<Bytes> frames;
      for (unsigned i = 0; i < count; ++i, ++id) {
        frames.push_back(frame(end, far, id, 40 + 8 * (run % 5)));
        sent_[id] = true;
      }
      send_run(end, frames, out);
      far.send(out);
      for (unsigned i = 0; i < count; ++i) receive_one(end, far, out);
    }
    --senders;
    while (senders != 0 || a_.under_way != 0 || b_.under_way != 0) {
      if (!receive_one(end, far, out)) std::this_thread::yield();
    }
  }

  void send_run(End& end, const std::vector<Bytes>& frames, RecordingDatagramSink& out) {
    std::optional<Sealing> sealing;
    {
      const auto engine = end.engine.take();
      sealing = engine->admit(frames[0], frames.size(), frames.size() * frames[0].size(), now_);
      if (!sealing) {
        for (const Bytes& one : frames) engine->on_frame(one, now_, out);
      }
    }
    if (!sealing) return;
    for (const Bytes& one : frames) EXPECT_TRUE(sealing->seal(one, out));
    if (sealing->needs_rekey()) end.engine.take()->renew(sealing->peer(), now_, out);
  }

  bool receive_one(End& end, End& far, RecordingDatagramSink& out) {
    SentDatagram datagram;
    if (!end.take(datagram)) return false;
    RecordingFrameSink frames;
    const Path path{far.endpoint, {}, 0};
    const auto parsed = parse_message(datagram.bytes);
    const auto* data = parsed ? std::get_if<MessageData>(&*parsed) : nullptr;
    if (data) {
      const std::shared_ptr<Session> session = end.engine.take()->find_session(data->receiver);
      if (session) {
        const auto opened = session->decrypt(*data, now_.time);
        const ByteSpan got = end.engine.take()->accept(*session, *data, opened, path, 0, now_, out);
        if (!got.empty()) frames.put(got);
      } else {
        end.engine.take()->count_drop(DropReason::UnknownIndex);
      }
    } else {
      end.engine.take()->on_datagram(path, 0, datagram.bytes, now_, frames, out);
    }
    for (const Bytes& got : frames.frames) ++end.arrivals[load<Le64>(got.data() + 28)];
    far.send(out);
    --end.under_way;
    return true;
  }

  Now now_{Timestamp(std::chrono::hours(1)), WallTime(std::chrono::seconds(1'700'000'000))};
  End a_{2, "192.0.2.1:1001", "10.0.0.1"};
  End b_{3, "192.0.2.2:1002", "10.0.0.2"};
  unsigned rounds_ = 0;
  std::vector<std::atomic<bool>> sent_ = std::vector<std::atomic<bool>>(rounds_max * ids_per_round);
};

class ManyThreads : public ::testing::TestWithParam<CipherChoice> {
 protected:
  void SetUp() override {
    initialize_crypto();
    if (!is_usable(GetParam().suite())) GTEST_SKIP() << "this machine cannot use " << to_string(GetParam());
  }
};

INSTANTIATE_TEST_SUITE_P(EachSuite, ManyThreads,
                         ::testing::Values(CipherSuite::ChaCha20Poly1305, CipherSuite::Aes256Gcm, CipherSuite::None,
                                           CipherChoice::automatic()),
                         [](const auto& choice) { return "suite_" + std::to_string(choice.index); });

TEST_P(ManyThreads, lose_nothing_and_take_nothing_twice_while_sessions_follow_each_other) {
  Hammer hammer(GetParam());
  constexpr unsigned rounds = 6;
  for (unsigned round = 0; round < rounds; ++round) {
    // Both have heard from each other, so that only the age of the session is a reason for another: two that cross
    // would leave none for what is under way.
    hammer.advance(limits::keepalive_timeout + 1s);
    hammer.settle();
    hammer.advance(limits::rekey_after_time - limits::keepalive_timeout);
    hammer.round([&](const std::atomic<unsigned>& senders) {
      while (senders != 0) {
        hammer.on_deadline(hammer.a());
        hammer.on_deadline(hammer.b());
        std::this_thread::yield();
      }
    });
  }
  hammer.expect_arrivals([](int times) { return times == 1; });
  hammer.expect_counters_in_a_row();
  for (End* end : {&hammer.a(), &hammer.b()}) {
    // A session of each round, and the first one; one that came when all had been sent may have had nothing to do.
    EXPECT_GT(end->counters.size(), rounds / 2);
    EXPECT_LE(end->counters.size(), rounds + 1);
    const DropCounters drops = end->engine.take()->drops();
    EXPECT_EQ(drops[DropReason::Replay], end->duplicates);
    EXPECT_GT(end->duplicates, 0u);
    std::uint64_t all = 0;
    for (std::size_t i = 0; i < drop_reason_count; ++i) all += drops[static_cast<DropReason>(i)];
    EXPECT_EQ(all, end->duplicates);
  }
  for (End* end : {&hammer.a(), &hammer.b()}) {
    const bool is_aes = GetParam().is_auto() && is_usable(CipherSuite::Aes256Gcm);
    EXPECT_EQ(hammer.peer_at(*end).sessions.current()->suite(), is_aes ? CipherSuite::Aes256Gcm : GetParam().suite());
  }
  EXPECT_EQ(hammer.peer_at(hammer.a()).sent_bytes, hammer.peer_at(hammer.b()).received_bytes);
  EXPECT_EQ(hammer.peer_at(hammer.b()).sent_bytes, hammer.peer_at(hammer.a()).received_bytes);
}

TEST_P(ManyThreads, stay_right_while_a_peer_is_removed_and_made_again) {
  Hammer hammer(GetParam());
  for (unsigned round = 0; round < 3; ++round) {
    hammer.advance(20s);
    hammer.round([&](const std::atomic<unsigned>& senders) {
      for (unsigned i = 0; senders != 0; ++i) {
        End& end = i % 2 == 0 ? hammer.b() : hammer.a();
        DeviceChange change;
        if (i % 3 != 0) {
          change.peers.emplace_back().public_key = hammer.other(end).public_key;
          change.peers.back().is_removal = true;
        }
        change.peers.push_back(hammer.other(end).as_peer());
        end.engine.take()->apply(std::move(change), hammer.now());
        std::this_thread::sleep_for(1ms);
      }
    });
  }
  hammer.expect_arrivals([](int times) { return times <= 1; });
  hammer.expect_counters_in_a_row();

  // Frames that staged while they were strangers come first, and the handshakes they need.
  const int before_a = hammer.a().arrivals[0];
  const int before_b = hammer.b().arrivals[0];
  for (int i = 0; i < 10 && (hammer.a().arrivals[0] == before_a || hammer.b().arrivals[0] == before_b); ++i) {
    hammer.advance(limits::reject_after_time + 10s);
    hammer.send_one(hammer.a(), hammer.b());
    hammer.settle();
    hammer.send_one(hammer.b(), hammer.a());
    hammer.settle();
  }
  EXPECT_GT(hammer.a().arrivals[0], before_a);
  EXPECT_GT(hammer.b().arrivals[0], before_b);
}

}  // namespace
}  // namespace culvert
