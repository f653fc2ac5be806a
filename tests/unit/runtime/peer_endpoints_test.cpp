// Names of peers followed at a real device, with a resolver played by the test.
#include "culvert/runtime/peer_endpoints.hpp"

#include <gmock/gmock.h>

#include <deque>

#include "culvert/crypto/key_exchange.hpp"
#include "culvert/crypto/system_random.hpp"
#include "support/captured_log.hpp"
#include "support/crypto_ready.hpp"
#include "support/io_loop.hpp"
#include "support/own_namespace.hpp"
#include "support/temporary_directory.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;
using test::CapturedLog;
using test::in_own_namespace;
using test::run_for;
using test::run_until;

const Endpoint a = *Endpoint::parse("127.0.0.1:40301");
const Endpoint b = *Endpoint::parse("127.0.0.2:40301");

/// A device with one peer whose names are the test's to answer.
class Bench {
 public:
  Bench()
      : device_(io_, NetworkNamespace::current(), 0, 0),
        endpoints_(io_, device_, [this](const std::string& host, std::uint16_t, EndpointLookup::Answer answer) {
          questions_.push_back({host, std::move(answer)});
        }) {
    SystemRandom random;
    const SecretKey far = generate_secret_key(random);
    far_ = public_key_of(far);
    DeviceChange change;
    change.private_key = generate_secret_key(random);
    change.peers.emplace_back().public_key = far_;
    (void)device_.apply(std::move(change));
    device_.on_event = [this](const Event& event) { endpoints_.on_event(event); };
  }

  void follow(const std::string& host, std::chrono::seconds keepalive = 0s) {
    endpoints_.follow(far_, {host, 40301, std::nullopt}, keepalive);
  }
  /// The questions come here as before.
  void use_another_resolver() { endpoints_.use(nullptr); }
  void answer(FoundEndpoints found) {
    ASSERT_FALSE(questions_.empty());
    const auto question = std::move(questions_.front());
    questions_.pop_front();
    question.answer(std::move(found));
  }
  std::vector<std::string> asked() {
    std::vector<std::string> hosts;
    for (const Question& question : questions_) hosts.push_back(question.host);
    return hosts;
  }
  const Peer& peer() { return *device_.engine()->find_peer(far_); }
  std::optional<Endpoint> place() { return peer().path ? std::optional(peer().path->remote) : std::nullopt; }
  void tell(EventKind kind) { endpoints_.on_event({kind, peer().id}); }

  struct Question {
    std::string host;
    EndpointLookup::Answer answer;
  };
  boost::asio::io_context io_{1};
  Device device_;
  PeerEndpoints endpoints_;
  std::deque<Question> questions_;
  PublicKey far_;
};

void with_bench(const std::function<void(Bench&)>& body) {
  in_own_namespace([&] {
    initialize_crypto();
    const test::TemporaryDirectory state;
    ::setenv("STATE_DIRECTORY", state.path().c_str(), 1);
    {
      Bench bench;
      body(bench);
      bench.io_.stop();
    }
    ::unsetenv("STATE_DIRECTORY");
  });
}

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(PeerEndpoints, sets_the_first_address_and_calls_at_once_where_a_keepalive_waits) {
  with_bench([](Bench& bench) {
    bench.follow("far.test", 25s);
    EXPECT_THAT(bench.asked(), ElementsAre("far.test"));
    EXPECT_FALSE(bench.place());
    bench.answer({{a}, 300s, {}});
    EXPECT_EQ(bench.place(), a);
    EXPECT_EQ(bench.peer().timers.persistent_keepalive(), 25s);
    EXPECT_GT(bench.peer().sent_bytes, 0U);
  });
}

TEST(PeerEndpoints, the_same_name_again_disturbs_nothing) {
  with_bench([](Bench& bench) {
    bench.follow("far.test");
    bench.follow("far.test");
    EXPECT_EQ(bench.asked().size(), 1U);
    bench.answer({{a}, 300s, {}});
    bench.follow("far.test");
    EXPECT_THAT(bench.asked(), IsEmpty());
    EXPECT_EQ(bench.place(), a);
  });
}

TEST(PeerEndpoints, another_name_is_looked_up_and_the_answer_for_the_old_one_is_lost) {
  with_bench([](Bench& bench) {
    bench.follow("far.test");
    bench.follow("other.test");
    EXPECT_THAT(bench.asked(), ElementsAre("far.test", "other.test"));
    bench.answer({{a}, 300s, {}});
    EXPECT_FALSE(bench.place());
    bench.answer({{b}, 300s, {}});
    EXPECT_EQ(bench.place(), b);
  });
}

TEST(PeerEndpoints, another_resolver_is_asked_at_once_and_answers_of_the_former_are_lost) {
  with_bench([](Bench& bench) {
    bench.follow("far.test");
    bench.use_another_resolver();
    EXPECT_THAT(bench.asked(), ElementsAre("far.test", "far.test"));
    bench.answer({{a}, 300s, {}});
    EXPECT_FALSE(bench.place());
    bench.answer({{b}, 300s, {}});
    EXPECT_EQ(bench.place(), b);
  });
}

TEST(PeerEndpoints, a_peer_that_is_forgotten_or_given_by_address_keeps_its_endpoint) {
  with_bench([](Bench& bench) {
    bench.follow("far.test");
    bench.answer({{a}, 300s, {}});
    bench.tell(EventKind::HandshakeUnanswered);
    EXPECT_EQ(bench.asked().size(), 1U);
    bench.endpoints_.forget(bench.far_);
    bench.answer({{b}, 300s, {}});
    EXPECT_EQ(bench.place(), a);
    bench.tell(EventKind::HandshakeUnanswered);
    EXPECT_THAT(bench.asked(), IsEmpty());

    bench.follow("far.test");
    bench.endpoints_.follow(bench.far_, {"192.0.2.1", 1, Endpoint::parse("192.0.2.1:1")}, 0s);
    bench.answer({{b}, 300s, {}});
    EXPECT_EQ(bench.place(), a);
  });
}

TEST(PeerEndpoints, looks_up_again_when_the_lifetime_ends) {
  with_bench([](Bench& bench) {
    bench.follow("far.test");
    bench.answer({{a}, 1s, {}});
    run_for(bench.io_, 200ms);
    EXPECT_THAT(bench.asked(), IsEmpty());
    run_until(bench.io_, [&] { return !bench.asked().empty(); });
    bench.answer({{b}, 300s, {}});
    EXPECT_EQ(bench.place(), b) << "nobody ever answered at the old one";
  });
}

TEST(PeerEndpoints, looks_up_again_when_a_handshake_goes_unanswered_one_question_at_a_time) {
  with_bench([](Bench& bench) {
    bench.follow("far.test");
    bench.answer({{a, b}, 300s, {}});
    EXPECT_EQ(bench.place(), a);
    bench.tell(EventKind::HandshakeUnanswered);
    EXPECT_EQ(bench.place(), b) << "without waiting for the answer";
    bench.tell(EventKind::HandshakeUnanswered);
    EXPECT_EQ(bench.place(), a);
    EXPECT_EQ(bench.asked().size(), 1U);
  });
}

TEST(PeerEndpoints, keeps_the_address_and_tries_again_when_there_is_no_answer) {
  with_bench([](Bench& bench) {
    const CapturedLog log;
    bench.follow("far.test");
    bench.answer({{}, 300s, "no such thing"});
    EXPECT_EQ(log.count("looking up \"far.test\": no such thing"), 1U) << log.text();
    run_until(bench.io_, [&] { return !bench.asked().empty(); });
    bench.answer({{a}, 1s, {}});
    run_until(bench.io_, [&] { return !bench.asked().empty(); });
    bench.answer({{}, 300s, "no such thing"});
    EXPECT_EQ(bench.place(), a);
    run_until(bench.io_, [&] { return !bench.asked().empty(); });
    EXPECT_EQ(bench.place(), a);
  });
}

TEST(PeerEndpoints, says_only_once_that_there_is_no_answer) {
  with_bench([](Bench& bench) {
    const CapturedLog log;
    bench.follow("far.test");
    for (int i = 0; i < 10; ++i) {
      bench.answer({{}, 300s, "no such thing"});
      bench.tell(EventKind::HandshakeUnanswered);
    }
    EXPECT_EQ(log.count("no such thing"), 1U) << log.text();
  });
}

TEST(PeerEndpoints, a_peer_that_the_device_has_no_more_is_forgotten) {
  with_bench([](Bench& bench) {
    bench.follow("far.test");
    DeviceChange change;
    change.peers.emplace_back().public_key = bench.far_;
    change.peers.back().is_removal = true;
    (void)bench.device_.apply(std::move(change));
    bench.answer({{a}, 1s, {}});
    EXPECT_EQ(bench.device_.engine()->peers().size(), 0U);
    run_for(bench.io_, 1500ms);
    EXPECT_THAT(bench.asked(), IsEmpty());
  });
}

}  // namespace
}  // namespace culvert
