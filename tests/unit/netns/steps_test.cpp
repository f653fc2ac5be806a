// Steps done and undone in order.
#include "culvert/netns/steps.hpp"

#include <gmock/gmock.h>

#include <stdexcept>
#include <string>

namespace culvert {
namespace {

using ::testing::ElementsAre;

class StepsTest : public ::testing::Test {
 protected:
  void step(Steps& steps, const std::string& name) {
    steps.run(
        name, [&] { did_.push_back("+" + name); }, [this, name] { did_.push_back("-" + name); });
  }

  std::vector<std::string> did_;
};

TEST_F(StepsTest, what_was_done_is_undone_from_the_last_to_the_first) {
  {
    Steps steps;
    step(steps, "one");
    step(steps, "two");
  }
  EXPECT_THAT(did_, ElementsAre("+one", "+two", "-two", "-one"));
}

TEST_F(StepsTest, what_is_kept_stays) {
  {
    Steps steps;
    step(steps, "one");
    steps.keep();
    step(steps, "two");
  }
  EXPECT_THAT(did_, ElementsAre("+one", "+two", "-two"));
}

TEST_F(StepsTest, a_step_that_fails_is_not_undone) {
  EXPECT_THROW(
      {
        Steps steps;
        step(steps, "one");
        steps.run(
            "two", [] { throw std::runtime_error("refused"); }, [this] { did_.emplace_back("-two"); });
      },
      std::runtime_error);
  EXPECT_THAT(did_, ElementsAre("+one", "-one"));
}

TEST_F(StepsTest, a_hook_is_told_before_each_step_and_stops_it) {
  std::vector<std::string> told;
  EXPECT_THROW(
      {
        Steps steps([&](std::string_view what) {
          told.emplace_back(what);
          if (what == "two") throw std::runtime_error("injected");
        });
        step(steps, "one");
        step(steps, "two");
      },
      std::runtime_error);
  EXPECT_THAT(told, ElementsAre("one", "two"));
  EXPECT_THAT(did_, ElementsAre("+one", "-one"));
}

TEST_F(StepsTest, an_undoing_that_fails_leaves_the_others_to_be_undone) {
  {
    Steps steps;
    step(steps, "one");
    steps.run(
        "two", [] {}, [] { throw std::runtime_error("gone already"); });
    step(steps, "three");
  }
  EXPECT_THAT(did_, ElementsAre("+one", "+three", "-three", "-one"));
}

}  // namespace
}  // namespace culvert
