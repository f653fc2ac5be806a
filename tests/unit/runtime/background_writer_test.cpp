// Jobs done beside, and waited for at the end.
#include "culvert/runtime/background_writer.hpp"

#include <gmock/gmock.h>

#include <algorithm>
#include <atomic>
#include <future>
#include <memory>
#include <thread>
#include <vector>

#include "support/captured_log.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;

TEST(BackgroundWriter, does_all_jobs_in_order_before_it_goes) {
  std::vector<int> done;
  {
    BackgroundWriter writer;
    for (int i = 0; i < 100; ++i) writer.post([&done, i] { done.push_back(i); });
  }
  ASSERT_EQ(done.size(), 100u);
  EXPECT_TRUE(std::is_sorted(done.begin(), done.end()));
}

TEST(BackgroundWriter, does_a_job_while_others_go_on) {
  std::promise<std::thread::id> where;
  BackgroundWriter writer;
  writer.post([&] { where.set_value(std::this_thread::get_id()); });
  EXPECT_NE(where.get_future().get(), std::this_thread::get_id());
}

TEST(BackgroundWriter, gives_up_a_disk_that_never_answers) {
  const test::CapturedLog log;
  std::promise<void> disk;
  const auto is_done = std::make_shared<std::atomic<bool>>(false);
  {
    BackgroundWriter writer(10ms);
    writer.post([ready = disk.get_future().share()] { ready.wait(); });
    writer.post([is_done] { *is_done = true; });
  }
  EXPECT_EQ(log.count("a write to disk does not end"), 1u) << log.text();
  disk.set_value();
  for (int i = 0; i < 1000 && is_done.use_count() > 1; ++i) std::this_thread::sleep_for(5ms);
  EXPECT_FALSE(*is_done);
}

}  // namespace
}  // namespace culvert
