// The queue of events.
#include "culvert/engine/event.hpp"

#include <gtest/gtest.h>

namespace culvert {
namespace {

Event numbered(std::uint32_t number) {
  return {EventKind::EndpointMoved, PeerId(number)};
}

TEST(EventQueue, gives_events_oldest_first) {
  EventQueue events;
  EXPECT_FALSE(events.poll());
  events.push(numbered(1));
  events.push({EventKind::KeysExpired, PeerId(2)});
  EXPECT_EQ(events.poll(), numbered(1));
  EXPECT_EQ(events.poll(), (Event{EventKind::KeysExpired, PeerId(2)}));
  EXPECT_FALSE(events.poll());
}

TEST(EventQueue, forgets_the_oldest_when_full) {
  EventQueue events;
  for (std::uint32_t i = 0; i < 300; ++i) events.push(numbered(i));
  for (std::uint32_t i = 44; i < 300; ++i) EXPECT_EQ(events.poll(), numbered(i));
  EXPECT_FALSE(events.poll());
}

TEST(EventQueue, takes_the_same_twice_in_a_row_for_one_when_asked) {
  EventQueue events;
  events.push_once(numbered(1));
  events.push_once(numbered(1));
  events.push_once(numbered(2));
  events.push_once(numbered(1));
  for (const std::uint32_t number : {1U, 2U, 1U}) EXPECT_EQ(events.poll(), numbered(number));
  EXPECT_FALSE(events.poll());
}

}  // namespace
}  // namespace culvert
