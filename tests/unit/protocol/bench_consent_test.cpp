// Requests for a benchmark and their answers, byte by byte.
#include "culvert/protocol/bench_consent.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

#include "support/crypto_ready.hpp"

namespace culvert {
namespace {

BenchNumber number_of(unsigned first) {
  BenchNumber number;
  for (std::size_t i = 0; i < number.size(); ++i) number[i] = static_cast<std::byte>(first + i);
  return number;
}

BenchAnswer grant() {
  BenchAnswer answer;
  answer.number = number_of(0x40);
  answer.verdict = BenchVerdict::Granted;
  answer.port = 0x1234;
  answer.mtu = 1420;
  answer.seconds = 900;
  answer.rate = 0x0102030405060708;
  std::ranges::fill(answer.token.writable_bytes(), std::byte{0x5a});
  answer.v4 = *Address::parse("10.0.0.7");
  answer.v6 = *Address::parse("fd00::7");
  return answer;
}

using AnswerPlaintext = std::array<std::byte, bench_answer_size>;
AnswerPlaintext plaintext_of(const BenchAnswer& answer) {
  AnswerPlaintext plaintext;
  write_bench_answer(plaintext, answer);
  return plaintext;
}

ByteSpan body_of(ByteSpan plaintext) {
  return parse_envelope(plaintext)->body;
}

TEST(BenchRequest, lies_on_the_wire_as_documented) {
  auto plaintext = build_bench_request(number_of(0x10));
  ASSERT_EQ(plaintext.size(), 32U);
  EXPECT_EQ(plaintext[0], std::byte{6});
  EXPECT_EQ(plaintext[1], std::byte{0}) << "no padding";
  EXPECT_EQ(plaintext[2], std::byte{1}) << "version";
  EXPECT_EQ(std::count(plaintext.begin() + 3, plaintext.begin() + 16, std::byte{0}), 13);
  EXPECT_EQ(plaintext[16], std::byte{0x10});
  EXPECT_EQ(plaintext[31], std::byte{0x1f});
  EXPECT_EQ(parse_bench_request(body_of(plaintext)).value(), number_of(0x10));
}

TEST(BenchRequest, is_refused_when_short_or_of_no_version) {
  auto plaintext = build_bench_request(number_of(1));
  const ByteSpan body = body_of(plaintext);
  for (std::size_t size = 0; size < body.size(); ++size) {
    EXPECT_EQ(parse_bench_request(body.first(size)).error(), DropReason::BadBench) << size;
  }
  body[0] = std::byte{0};
  EXPECT_EQ(parse_bench_request(body).error(), DropReason::BadBench);
  body[0] = std::byte{9};
  EXPECT_TRUE(parse_bench_request(body).has_value()) << "later versions append";
}

TEST(BenchAnswer, lies_on_the_wire_as_documented) {
  const auto plaintext = plaintext_of(grant());
  ASSERT_EQ(plaintext.size(), 96U);
  const auto byte = [&](std::size_t i) { return std::to_integer<unsigned>(plaintext[i]); };
  EXPECT_EQ(byte(0), 7U);
  EXPECT_EQ(byte(1), 10U) << "padding";
  EXPECT_EQ(byte(2), 1U) << "version";
  EXPECT_EQ(byte(3), 0U) << "granted";
  EXPECT_EQ(byte(4) + (byte(5) << 8), 0x1234U);
  EXPECT_EQ(byte(6) + (byte(7) << 8), 1420U);
  EXPECT_EQ(byte(8) + (byte(9) << 8), 900U);
  EXPECT_EQ(byte(10), 8U) << "the rate, its least byte first";
  EXPECT_EQ(byte(17), 1U);
  EXPECT_EQ(byte(18), 0x40U) << "the number";
  EXPECT_EQ(byte(34), 0x5aU) << "the token";
  EXPECT_EQ(byte(65), 0x5aU);
  EXPECT_EQ(byte(66), 10U);
  EXPECT_EQ(byte(69), 7U);
  EXPECT_EQ(byte(70), 0xfdU);
  EXPECT_EQ(byte(85), 7U);
}

TEST(BenchAnswer, is_read_as_it_was_written) {
  auto plaintext = plaintext_of(grant());
  const BenchAnswer wanted = grant();
  const auto answer = parse_bench_answer(body_of(plaintext));
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(answer->number, wanted.number);
  EXPECT_EQ(answer->verdict, wanted.verdict);
  EXPECT_EQ(answer->port, wanted.port);
  EXPECT_EQ(answer->mtu, wanted.mtu);
  EXPECT_EQ(answer->seconds, wanted.seconds);
  EXPECT_EQ(answer->rate, wanted.rate);
  EXPECT_TRUE(answer->token == wanted.token);
  EXPECT_EQ(answer->v4, wanted.v4);
  EXPECT_EQ(answer->v6, wanted.v6);
}

TEST(BenchAnswer, without_a_grant_needs_nothing_but_the_number) {
  for (const BenchVerdict verdict :
       {BenchVerdict::NotAllowed, BenchVerdict::Busy, BenchVerdict::NoAddress, BenchVerdict::Failed}) {
    BenchAnswer answer;
    answer.verdict = verdict;
    auto plaintext = plaintext_of(answer);
    const auto read = parse_bench_answer(body_of(plaintext));
    ASSERT_TRUE(read.has_value());
    EXPECT_EQ(read->verdict, verdict);
    EXPECT_TRUE(read->v6.is_unspecified());
  }
}

TEST(BenchAnswer, is_refused_when_short_or_of_no_version_or_of_an_unknown_verdict) {
  auto plaintext = plaintext_of(grant());
  const ByteSpan body = body_of(plaintext);
  for (std::size_t size = 0; size < body.size(); ++size) {
    EXPECT_EQ(parse_bench_answer(body.first(size)).error(), DropReason::BadBench) << size;
  }
  body[1] = std::byte{5};
  EXPECT_EQ(parse_bench_answer(body).error(), DropReason::BadBench);
  body[1] = std::byte{0};
  body[0] = std::byte{0};
  EXPECT_EQ(parse_bench_answer(body).error(), DropReason::BadBench);
}

TEST(BenchAnswer, does_not_grant_what_cannot_be_reached) {
  BenchAnswer answer = grant();
  answer.port = 0;
  auto without_port = plaintext_of(answer);
  EXPECT_EQ(parse_bench_answer(body_of(without_port)).error(), DropReason::BadBench);
  answer = grant();
  answer.v4 = Address();
  auto v6_alone = plaintext_of(answer);
  EXPECT_TRUE(parse_bench_answer(body_of(v6_alone)).has_value());
  answer.v6 = BenchAnswer().v6;
  auto nowhere = plaintext_of(answer);
  EXPECT_EQ(parse_bench_answer(body_of(nowhere)).error(), DropReason::BadBench);
}

}  // namespace
}  // namespace culvert
