// Words for what a peer is, and for what keeps frames from passing.
#include "culvert/runtime/agreement_words.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace culvert {
namespace {

using testing::HasSubstr;
using testing::IsEmpty;

Agreement peer_that_says(DeviceMode mode) {
  Agreement agreement;
  HelloMessage hello;
  hello.mode = mode;
  (void)agreement.heard(hello);
  return agreement;
}

Agreement silent_peer() {
  Agreement agreement;
  agreement.session_began(true, Timestamp{});
  for (int second = 0; second < 10; ++second) (void)agreement.take_due(Timestamp(std::chrono::seconds(second)));
  return agreement;
}

TEST(AgreementWords, name_what_the_peer_is) {
  EXPECT_EQ(nature_word(Agreement()), "unknown");
  EXPECT_EQ(nature_word(silent_peer()), "stock");
  EXPECT_EQ(nature_word(peer_that_says(DeviceMode::Routed)), "routed");
  EXPECT_EQ(nature_word(peer_that_says(DeviceMode::Switched)), "switched");
}

TEST(AgreementWords, say_what_does_not_fit_and_what_to_do) {
  EXPECT_THAT(mismatch_words(peer_that_says(DeviceMode::Switched), DeviceMode::Routed),
              HasSubstr("carries Ethernet frames and this device IP packets"));
  EXPECT_THAT(mismatch_words(peer_that_says(DeviceMode::Routed), DeviceMode::Switched),
              HasSubstr("carries IP packets and this device Ethernet frames"));
  EXPECT_THAT(mismatch_words(silent_peer(), DeviceMode::Switched), HasSubstr("is a WireGuard"));
  for (const auto& [theirs, ours] : {std::pair{peer_that_says(DeviceMode::Switched), DeviceMode::Routed},
                                     std::pair{peer_that_says(DeviceMode::Routed), DeviceMode::Switched},
                                     std::pair{silent_peer(), DeviceMode::Switched}}) {
    EXPECT_THAT(mismatch_words(theirs, ours), HasSubstr("nothing is forwarded: "));
    EXPECT_THAT(mismatch_words(theirs, ours), HasSubstr("Mode"));
  }
}

TEST(AgreementWords, say_nothing_where_all_is_well_or_not_known_yet) {
  EXPECT_THAT(mismatch_words(peer_that_says(DeviceMode::Routed), DeviceMode::Routed), IsEmpty());
  EXPECT_THAT(mismatch_words(peer_that_says(DeviceMode::Switched), DeviceMode::Switched), IsEmpty());
  EXPECT_THAT(mismatch_words(silent_peer(), DeviceMode::Routed), IsEmpty());
  EXPECT_THAT(mismatch_words(Agreement(), DeviceMode::Routed), IsEmpty());
  EXPECT_THAT(mismatch_words(Agreement(), DeviceMode::Switched), IsEmpty());
}

}  // namespace
}  // namespace culvert
