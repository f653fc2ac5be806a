// Units, digits and foreign text.
#include "culvert/bench/figure_text.hpp"

#include <gtest/gtest.h>

namespace culvert {
namespace {

TEST(FigureText, shows_three_digits_and_no_exponent) {
  EXPECT_EQ(short_number(0), "0.00");
  EXPECT_EQ(short_number(9.994), "9.99");
  EXPECT_EQ(short_number(9.996), "10.0");
  EXPECT_EQ(short_number(99.94), "99.9");
  EXPECT_EQ(short_number(99.96), "100");
  EXPECT_EQ(short_number(-12.34), "-12.3");
  EXPECT_EQ(short_number(1234567.8), "1234568");
}

TEST(FigureText, chooses_a_prefix_by_size) {
  EXPECT_EQ(scale_for(9.4e9, "bit/s").unit, "Gbit/s");
  EXPECT_EQ(scale_for(1e9, "bit/s").divisor, 1e9);
  EXPECT_EQ(scale_for(999e6, "bit/s").unit, "Mbit/s");
  EXPECT_EQ(scale_for(12, "packet/s").unit, "packet/s");
  EXPECT_EQ(scale_for(812e3, "packet/s").unit, "kpacket/s");
  EXPECT_EQ(scale_for(999, "us").unit, "µs");
  EXPECT_EQ(scale_for(1000, "us").unit, "ms");
  EXPECT_EQ(scale_for(0.5, "share").unit, "%");
  EXPECT_EQ(scale_for(0.5, "share").divisor, 0.01);
  EXPECT_EQ(scale_for(5e9, "s/GiB").unit, "s/GiB");
  EXPECT_EQ(scale_for(5e9, "s/GiB").divisor, 1);
}

TEST(FigureText, shows_a_figure_with_its_spread) {
  EXPECT_EQ(with_spread({{9.1e9, 9.61e9, 9.42e9}}, 1e9), "9.42 (9.10–9.61)");
}

TEST(FigureText, names_a_cell) {
  EXPECT_EQ(text_of(CellKey{BenchMode::Tap, "none", OffloadRung::Udp, 1, 4, 1420, Measure::TcpDown}),
            "tap, none, offloads udp, 1420 bytes, 1 queue, 4 streams, tcp-down");
  EXPECT_EQ(text_of(CellKey{BenchMode::Uplink, "", OffloadRung::On, 2, 1, 64, Measure::RateWithoutLoss}),
            "uplink, 64 bytes, 2 queues, 1 stream, ndr");
}

TEST(FigureText, knows_the_first_figure_of_each_measure) {
  EXPECT_EQ(first_figure(Measure::TcpBoth), "throughput");
  EXPECT_EQ(first_figure(Measure::RateAtHalfPercent), "rate");
  EXPECT_EQ(first_figure(Measure::RoundTripFull), "p50");
  EXPECT_TRUE(kind_of("rate").more_is_better);
  EXPECT_FALSE(kind_of("p99").more_is_better);
  EXPECT_EQ(kind_of("unknown").unit, "");
}

TEST(FigureText, keeps_letters_of_all_languages_and_nothing_that_steers) {
  EXPECT_EQ(one_line("größer als → 日本 🙂"), "größer als → 日本 🙂");
  EXPECT_EQ(one_line("a\nb\x1b[31m\tc\x7f"), "a?b?[31m?c?");
  EXPECT_EQ(one_line("\xc2\x9b"
                     "31m"),
            "?31m");
  EXPECT_EQ(one_line("\xe2\x80\xae"
                     "abc\xe2\x81\xa6"),
            "?abc?");
  // No UTF-8: a lone continuation, one that is missing, forms that are too long, a surrogate, beyond Unicode.
  EXPECT_EQ(one_line("\x80|\xc3|\xc0\xaf|\xe0\x80\xaf|\xed\xa0\x80|\xf4\x90\x80\x80|\xff"), "?|?|??|???|???|????|?");
}

TEST(FigureText, counts_characters_and_not_bytes) {
  EXPECT_EQ(width_of("9.42 (9.10–9.61) µs"), 19U);
  EXPECT_EQ(padded("µs", 4) + "|", "µs  |");
  EXPECT_EQ(padded("µs", 4, true), "  µs");
  EXPECT_EQ(padded("too long", 4), "too long");
}

}  // namespace
}  // namespace culvert
