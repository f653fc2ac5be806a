// Messages between a process and its child.
#include "culvert/unshare/channel.hpp"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <unistd.h>

#include <array>
#include <system_error>

namespace culvert {
namespace {

TEST(Channel, keeps_messages_apart_and_in_order) {
  auto [left, right] = Channel::make_pair();
  left.send('a', "first");
  left.send('b');
  right.send('c', std::string("with a \0 byte", 13));
  const auto first = right.receive();
  const auto second = right.receive();
  ASSERT_TRUE(first && second);
  EXPECT_EQ(first->kind, 'a');
  EXPECT_EQ(first->text, "first");
  EXPECT_EQ(second->kind, 'b');
  EXPECT_EQ(second->text, "");
  EXPECT_EQ(left.receive()->text.size(), 13U);
}

TEST(Channel, hands_descriptors_over_that_no_program_inherits) {
  auto [left, right] = Channel::make_pair();
  std::array<int, 2> ends{};
  ASSERT_EQ(::pipe(ends.data()), 0);
  const UniqueFd reading(ends[0]);
  const UniqueFd writing(ends[1]);
  left.send('d', "two", ends);
  auto message = right.receive();
  ASSERT_TRUE(message);
  ASSERT_EQ(message->descriptors.size(), 2U);
  ASSERT_EQ(::write(message->descriptors[1].get(), "x", 1), 1);
  char byte = 0;
  EXPECT_EQ(::read(reading.get(), &byte, 1), 1);
  EXPECT_EQ(byte, 'x');
  EXPECT_NE(::fcntl(message->descriptors[0].get(), F_GETFD) & FD_CLOEXEC, 0);
}

TEST(Channel, hands_over_as_many_descriptors_as_a_device_with_all_queues_has) {
  auto [left, right] = Channel::make_pair();
  const std::vector<int> many(128, STDERR_FILENO);
  left.send('d', "", many);
  EXPECT_EQ(right.receive()->descriptors.size(), many.size());
}

TEST(Channel, tells_when_the_other_end_is_closed) {
  auto [left, right] = Channel::make_pair();
  EXPECT_FALSE(right.is_other_end_closed());
  left.send('z');
  left = Channel();
  EXPECT_TRUE(right.is_other_end_closed());
  EXPECT_TRUE(right.receive()) << "what was sent before still arrives";
  EXPECT_FALSE(right.receive());
  EXPECT_THROW(right.send('a'), std::system_error);
}

TEST(Channel, tells_whether_there_is_something_to_read) {
  auto [left, right] = Channel::make_pair();
  EXPECT_FALSE(right.is_readable());
  left.send('a');
  EXPECT_TRUE(right.is_readable());
}

TEST(Channel, cuts_what_is_too_long) {
  auto [left, right] = Channel::make_pair();
  left.send('a', std::string(Channel::text_max + 1, 't'));
  EXPECT_EQ(right.receive()->text, std::string(Channel::text_max, 't'));
}

}  // namespace
}  // namespace culvert
