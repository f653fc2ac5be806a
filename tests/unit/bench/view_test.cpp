// Which cells stand beside which.
#include "culvert/bench/view.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <set>

#include "results.hpp"

namespace culvert {
namespace {

using test::cell;
using test::key;
using test::result_of;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

const View* find(const Views& views, const std::string& id) {
  const auto found = std::ranges::find(views.views, id, &View::id);
  return found == views.views.end() ? nullptr : &*found;
}

Cell throughput(CellKey of, std::vector<double> rounds) {
  return cell(std::move(of), {{"throughput", {std::move(rounds)}}});
}

BenchResult duel(std::vector<double> tun, std::vector<double> tap) {
  return result_of({throughput(key(BenchMode::Tun, Measure::TcpUp), std::move(tun)),
                    throughput(key(BenchMode::Tap, Measure::TcpUp), std::move(tap))});
}

TEST(Verdict, is_even_where_spreads_overlap) {
  EXPECT_EQ(verdict_of(views_of(duel({90, 100, 110}, {110, 120, 130}))), "tun or tap? Even: throughput.");
}

TEST(Verdict, does_not_take_noise_for_a_draw) {
  EXPECT_EQ(verdict_of(views_of(duel({50, 100, 110}, {105, 120, 130}))), "tun or tap? Too noisy to tell: throughput.");
  EXPECT_EQ(verdict_of(views_of(duel({105, 120, 130}, {50, 100, 110}))), "tun or tap? Too noisy to tell: throughput.");
  EXPECT_EQ(verdict_of(views_of(duel({50, 100, 110}, {210, 220, 230}))), "tun or tap? tap: 120 % more throughput.");
}

TEST(Verdict, names_who_is_ahead_and_by_how_much) {
  EXPECT_EQ(verdict_of(views_of(duel({110, 120, 130}, {90, 100, 109}))), "tun or tap? tun: 20 % more throughput.");
  EXPECT_EQ(verdict_of(views_of(duel({90, 100, 109}, {110, 120, 130})), false), "tun or tap? tap: throughput.");
  EXPECT_EQ(verdict_of(views_of(duel({1000, 1001}, {1002, 1003}))), "tun or tap? tap: under 1 % more throughput.");
}

TEST(Verdict, prefers_less_where_less_is_better) {
  const BenchResult result = result_of({cell(key(BenchMode::Tun, Measure::RoundTripIdle, 64), {{"p50", {{30}}}}),
                                        cell(key(BenchMode::Tap, Measure::RoundTripIdle, 64), {{"p50", {{40}}}})});
  EXPECT_EQ(verdict_of(views_of(result)), "tun or tap? tun: 25 % less latency.");
}

TEST(Verdict, needs_both_measured_alike) {
  const BenchResult one = result_of({throughput(key(BenchMode::Tun, Measure::TcpUp, 1420), {1}),
                                     throughput(key(BenchMode::Tap, Measure::TcpUp, 1280), {2})});
  EXPECT_EQ(verdict_of(views_of(one)), "tun or tap? Not both were measured, or not alike.");
  EXPECT_EQ(verdict_of(views_of(result_of({}))), "tun or tap? Not both were measured, or not alike.");
}

TEST(Verdict, compares_what_most_people_run_among_what_both_have) {
  const BenchResult result = result_of({
      throughput(key(BenchMode::Tun, Measure::TcpUp, 1420, "none"), {900}),
      throughput(key(BenchMode::Tap, Measure::TcpUp, 1420, "none"), {800}),
      throughput(key(BenchMode::Tun, Measure::TcpUp, 1280), {100}),
      throughput(key(BenchMode::Tap, Measure::TcpUp, 1280), {200}),
      throughput(key(BenchMode::Tun, Measure::TcpUp, 1420), {300}),
      throughput(key(BenchMode::Tun, Measure::TcpUp, 1280, "chacha20-poly1305", OffloadRung::Off), {10}),
      throughput(key(BenchMode::Tap, Measure::TcpUp, 1280, "chacha20-poly1305", OffloadRung::Off), {20}),
  });
  const Views views = views_of(result);
  ASSERT_THAT(views.duels, SizeIs(1));
  EXPECT_EQ(views.duels[0].tun.figure->median(), 100);
  EXPECT_EQ(views.duels[0].about, "throughput: TCP up, chacha20-poly1305, 1280 bytes, 1 stream");
}

TEST(Views, lie_along_the_sizes_of_packets_for_each_cipher) {
  const BenchResult result = result_of({
      throughput(key(BenchMode::Tun, Measure::TcpUp, 1420), {3}),
      throughput(key(BenchMode::Tun, Measure::TcpUp, 64), {1}),
      throughput(key(BenchMode::Tap, Measure::TcpUp, 64), {2}),
      throughput(key(BenchMode::Uplink, Measure::TcpUp, 64), {9}),
      throughput(key(BenchMode::Tun, Measure::TcpUp, 1420, "aes-256-gcm"), {5}),
  });
  const Views views = views_of(result);
  const View* const view = find(views, "throughput-of-tcp-by-size-chacha20-poly1305");
  ASSERT_NE(view, nullptr);
  EXPECT_EQ(find(views, "throughput-of-tcp-by-size-aes-256-gcm"), nullptr) << "a size alone is no line";
  EXPECT_THAT(view->rows, ElementsAre("64", "1420"));
  EXPECT_THAT(view->columns, ElementsAre(BenchMode::Tun, BenchMode::Tap, BenchMode::Uplink));
  EXPECT_EQ(view->points[0][0].figure->median(), 1);
  EXPECT_EQ(view->points[0][2].figure->median(), 9);
  EXPECT_EQ(view->points[1][0].figure->median(), 3);
  EXPECT_EQ(view->points[1][1].figure, nullptr) << "was not measured";
  const View* const ciphers = find(views, "throughput-of-tcp-by-cipher");
  ASSERT_NE(ciphers, nullptr);
  EXPECT_THAT(ciphers->rows, ElementsAre("chacha20-poly1305"));
}

TEST(Views, tell_packets_without_loss_as_throughput) {
  const BenchResult result =
      result_of({cell(key(BenchMode::Tap, Measure::RateWithoutLoss, 64), {{"rate", {{1000, 2000}}}}),
                 cell(key(BenchMode::Tap, Measure::RateWithoutLoss, 1000), {{"rate", {{1000}}}})});
  const Views views = views_of(result);
  const View* const view = find(views, "throughput-of-udp-without-loss-by-size-chacha20-poly1305");
  ASSERT_NE(view, nullptr);
  EXPECT_EQ(view->kind.unit, "bit/s");
  EXPECT_THAT(view->points[0][0].figure->rounds, ElementsAre(512'000, 1'024'000));
  EXPECT_THAT(view->points[1][0].figure->rounds, ElementsAre(8'000'000));
}

TEST(Views, set_the_uplinks_tcp_beside_that_of_any_size) {
  const BenchResult result =
      result_of({throughput(key(BenchMode::Tun, Measure::TcpUp, 1420), {1}),
                 throughput(key(BenchMode::Uplink, Measure::TcpUp, 9000), {9}),
                 cell(key(BenchMode::Tun, Measure::RateWithoutLoss, 64), {{"rate", {{1}}}}),
                 cell(key(BenchMode::Uplink, Measure::RateWithoutLoss, 128), {{"rate", {{9}}}})});
  const Views views = views_of(result);
  EXPECT_THAT(find(views, "throughput-of-tcp-by-cipher")->columns, ElementsAre(BenchMode::Tun, BenchMode::Uplink));
  EXPECT_THAT(find(views, "packet-rate-without-loss-by-cipher")->columns, ElementsAre(BenchMode::Tun));
}

TEST(Views, put_the_usual_cipher_first) {
  std::vector<Cell> cells;
  for (const char* cipher : {"aes-256-gcm", "chacha20-poly1305", "none"}) {
    cells.push_back(throughput(key(BenchMode::Tun, Measure::TcpUp, 1280, cipher), {1}));
    cells.push_back(throughput(key(BenchMode::Tun, Measure::TcpUp, 1420, cipher), {1}));
  }
  const BenchResult result = result_of(std::move(cells));
  const Views views = views_of(result);
  ASSERT_NE(find(views, "throughput-of-tcp-by-cipher"), nullptr);
  EXPECT_THAT(find(views, "throughput-of-tcp-by-cipher")->rows,
              ElementsAre("chacha20-poly1305", "aes-256-gcm", "none"));
  std::vector<std::string> order;
  for (const View& view : views.views) {
    if (view.title == "Throughput of TCP by packet size") order.push_back(view.about);
  }
  EXPECT_THAT(order, ElementsAre("chacha20-poly1305, 1 stream", "aes-256-gcm, 1 stream", "none, 1 stream"));
}

TEST(Views, sum_up_the_tunnel_to_a_peer) {
  BenchResult result =
      result_of({throughput(key(BenchMode::Tap, Measure::TcpUp, 1400), {3}),
                 throughput(key(BenchMode::Tap, Measure::TcpDown, 1400), {2}),
                 cell(key(BenchMode::Tap, Measure::RateAtHalfPercent, 64), {{"rate", {{7}}}}),
                 cell(key(BenchMode::Tap, Measure::RoundTripIdle, 64), {{"p50", {{5}}}, {"p99", {{9}}}})});
  EXPECT_THAT(views_of(result).summary, IsEmpty());
  EXPECT_FALSE(views_of(result).is_of_one_tunnel);
  result.kind = "peer";
  const Views views = views_of(result);
  EXPECT_TRUE(views.is_of_one_tunnel);
  ASSERT_THAT(views.summary, SizeIs(3));
  ASSERT_THAT(views.summary[0].points, SizeIs(2));
  EXPECT_EQ(views.summary[0].about, "throughput: chacha20-poly1305, 1400 bytes, 1 stream");
  EXPECT_EQ(views.summary[0].points[1].first, "down");
  EXPECT_EQ(views.summary[0].points[1].second.figure->median(), 2);
  ASSERT_THAT(views.summary[1].points, SizeIs(1)) << "without loss nothing was found";
  EXPECT_EQ(views.summary[1].points[0].first, "0.5 % loss");
  EXPECT_EQ(views.summary[2].points[0].second.figure->median(), 5);
}

TEST(Views, climb_the_ladder_where_it_was_measured) {
  std::vector<Cell> cells = {throughput(key(BenchMode::Tun, Measure::TcpUp, 1420), {1})};
  for (const OffloadRung rung : {OffloadRung::Off, OffloadRung::On}) {
    cells.push_back(throughput(key(BenchMode::Tun, Measure::TcpUp, 1280, "aes-256-gcm", rung), {2}));
  }
  const BenchResult result = result_of(std::move(cells));
  const Views views = views_of(result);
  ASSERT_NE(find(views, "offloads-throughput"), nullptr);
  EXPECT_THAT(find(views, "offloads-throughput")->rows, ElementsAre("off", "on"));
  EXPECT_EQ(find(views, "offloads-throughput")->about, "aes-256-gcm, 1280 bytes, 1 stream");
}

TEST(Views, tell_streams_queues_and_directions_apart) {
  std::vector<Cell> cells;
  for (const unsigned queues : {1U, 2U}) {
    for (const unsigned streams : {1U, 4U}) {
      for (const Measure measure : {Measure::TcpUp, Measure::TcpDown}) {
        cells.push_back(throughput(key(BenchMode::Tap, measure), {1}));
        cells.back().key.queues = queues;
        cells.back().key.streams = streams;
      }
    }
  }
  const BenchResult result = result_of(std::move(cells));
  const Views views = views_of(result);
  ASSERT_NE(find(views, "throughput-of-tcp-by-direction"), nullptr);
  EXPECT_THAT(
      find(views, "throughput-of-tcp-by-direction")->rows,
      ElementsAre("up, 1 stream", "down, 1 stream", "up, 4 streams", "down, 4 streams", "up, 1 stream, 2 queues",
                  "down, 1 stream, 2 queues", "up, 4 streams, 2 queues", "down, 4 streams, 2 queues"));
}

TEST(Views, stack_what_the_time_is_made_of) {
  const BenchResult result =
      result_of({cell(key(BenchMode::Tun, Measure::TcpUp), {{"time_crypto", {{0.4}}}, {"time_engine", {{0.6}}}})});
  const Views views = views_of(result);
  ASSERT_NE(find(views, "time-tcp"), nullptr);
  EXPECT_EQ(find(views, "time-tcp")->shape, View::Shape::Stacked);
  EXPECT_THAT(find(views, "time-tcp")->rows, ElementsAre("crypto", "engine"));
}

TEST(Views, say_what_is_missing) {
  const Views nothing = views_of(result_of({}));
  EXPECT_THAT(nothing.views, IsEmpty());
  EXPECT_THAT(nothing.missing, SizeIs(6));
  const BenchResult some = duel({1}, {2});
  EXPECT_THAT(views_of(some).missing, SizeIs(5));
  EXPECT_EQ(views_of(some).missing[0].topic, "Packet rate");
}

TEST(Views, have_names_of_their_own) {
  std::vector<Cell> cells;
  for (const char* cipher : {"a b", "none", "x"}) {
    for (const std::uint32_t size : {64U, 128U}) {
      for (const Measure measure : {Measure::TcpUp, Measure::RateWithoutLoss, Measure::RateAtHalfPercent}) {
        Cell made = cell(key(BenchMode::Tun, measure, size, cipher), {});
        for (const FigureKind& kind : figure_kinds) made.figures[std::string(kind.name)] = {{1}};
        cells.push_back(std::move(made));
      }
    }
  }
  const BenchResult result = result_of(std::move(cells));
  const Views views = views_of(result);
  std::set<std::string> ids;
  for (const View& view : views.views) EXPECT_TRUE(ids.insert(view.id).second) << view.id;
  EXPECT_GT(ids.size(), 10U);
}

TEST(Views, are_shown_in_the_unit_of_the_tunnels) {
  const BenchResult result = result_of({throughput(key(BenchMode::Tun, Measure::TcpUp), {9e8}),
                                        throughput(key(BenchMode::Uplink, Measure::TcpUp), {9e9})});
  EXPECT_EQ(views_of(result).views.at(0).scale().unit, "Mbit/s");
}

TEST(Signs, mark_the_generators_limit_and_wide_spreads) {
  Cell made = throughput(key(BenchMode::Tun, Measure::TcpUp), {1, 10, 20});
  const ViewPoint point{&made, &made.figures.at("throughput")};
  EXPECT_EQ(signs_of(point), "‡");
  made.is_limited_by_generator = true;
  EXPECT_EQ(signs_of(point), "†‡");
  made.figures.at("throughput").rounds = {10};
  EXPECT_EQ(signs_of(point), "†");
  made.key.mode = BenchMode::Uplink;
  EXPECT_EQ(signs_of(point), "") << "there is nothing else on the bare uplink";
  EXPECT_EQ(signs_of({}), "");
}

TEST(Facts, tell_run_and_machine_safely) {
  BenchResult result = result_of({});
  result.machine.cpu = "evil\x1b[31m";
  result.generator["timestamps"] = {{0.01, 0.012, 0.014}};
  const auto facts = facts_about(result);
  EXPECT_EQ(facts[0].second, "default, 5 rounds, 282 s, seed 18000000000000000001");
  EXPECT_THAT(facts, ::testing::Contains(::testing::Pair("processor", "evil?[31m (2 usable)")));
  EXPECT_THAT(facts, ::testing::Contains(::testing::Pair("load generator", HasSubstr("1.20 (1.00–1.40) %"))));
}

}  // namespace
}  // namespace culvert
