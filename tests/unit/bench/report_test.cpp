// The page as text. (What a browser makes of it is in cli/bench_page_test.py.)
#include "culvert/bench/report.hpp"

#include <gmock/gmock.h>

#include "results.hpp"

namespace culvert {
namespace {

using test::cell;
using test::key;
using test::result_of;
using ::testing::HasSubstr;
using ::testing::Not;

BenchResult some_result() {
  return result_of({cell(key(BenchMode::Tun, Measure::TcpUp), {{"throughput", {{9e9, 9.1e9, 9.3e9}}}}),
                    cell(key(BenchMode::Tap, Measure::TcpUp), {{"throughput", {{8e9, 8.1e9, 8.3e9}}}})});
}

TEST(Report, is_whole) {
  const std::string page = to_page(some_result());
  EXPECT_EQ(page.substr(0, 15), "<!doctype html>");
  EXPECT_EQ(page.substr(page.size() - 8), "</html>\n");
  EXPECT_THAT(page, HasSubstr("Chart.js v"));
  EXPECT_THAT(page, Not(HasSubstr("{{")));
}

TEST(Report, answers_first) {
  const std::string page = to_page(some_result());
  EXPECT_THAT(page, HasSubstr("<h1>tun or tap?</h1>\n<p class=\"verdict\"> tun: 12 % more throughput.</p>"));
  EXPECT_LT(page.find("<h1>"), page.find("<figure"));
  EXPECT_LT(page.find("<figure"), page.find("The machine"));
}

TEST(Report, begins_with_the_tunnel_to_a_peer) {
  BenchResult result = some_result();
  std::erase_if(result.cells, [](const Cell& cell) { return cell.key.mode == BenchMode::Tap; });
  result.kind = "peer";
  const std::string page = to_page(result);
  EXPECT_THAT(page, HasSubstr("<h1>One tunnel</h1>\n<div class=\"table\"><table><tbody>\n<tr><th "
                              "scope=\"row\">throughput, up</th><td>9.10 Gbit/s "));
  EXPECT_THAT(page, Not(HasSubstr("tun or tap?")));
  EXPECT_THAT(page, Not(HasSubstr("tun and tap")));
  result.cells.clear();
  EXPECT_THAT(to_page(result), HasSubstr("Nothing of it was measured."));
}

TEST(Report, has_a_table_under_each_picture) {
  EXPECT_THAT(to_page(some_result()),
              HasSubstr("<tr><th scope=\"row\">chacha20-poly1305</th><td>9.10 <span class=\"spread\">"
                        "(9.00–9.30)</span></td><td>8.10 <span class=\"spread\">(8.00–8.30)</span></td></tr>"));
}

TEST(Report, asks_for_nothing_elsewhere) {
  const std::string page = to_page(some_result());
  EXPECT_THAT(page, HasSubstr("default-src 'none'"));
  for (const char* word : {" src=", "@import", "url(", "fetch("})
    EXPECT_THAT(page.substr(0, page.find("Chart.js,")), Not(HasSubstr(word)));
}

TEST(Report, lets_no_text_become_a_tag) {
  BenchResult result = some_result();
  const std::string evil = "</script><b onclick=\"x\">&'{{script}}";
  for (Cell& cell : result.cells) {
    cell.key.cipher = evil;
    cell.drops = {{evil, 1}};
  }
  result.notes = {evil};
  result.machine.cpu = evil;
  const std::string page = to_page(result);
  EXPECT_THAT(page, Not(HasSubstr(evil)));
  EXPECT_THAT(page, Not(HasSubstr("<b ")));
  EXPECT_THAT(page, HasSubstr("&lt;/script&gt;&lt;b onclick=&quot;x&quot;&gt;&amp;&#39;{{script}}"));
  EXPECT_THAT(page, HasSubstr(R"(\u003c/script>\u003cb onclick=\"x\">&'{{script}})"));
}

TEST(Report, marks_cells_that_cannot_be_trusted) {
  BenchResult result = some_result();
  result.cells[0].is_limited_by_generator = true;
  result.cells[1].figures.at("throughput").rounds = {1e9, 8e9, 20e9};
  const std::string page = to_page(result);
  EXPECT_THAT(page, HasSubstr("9.10†"));
  EXPECT_THAT(page, HasSubstr("8.00‡"));
  EXPECT_THAT(page, HasSubstr("† The load generator"));
}

TEST(Report, lists_what_was_dropped) {
  BenchResult result = some_result();
  result.cells[0].drops = {{"replayed", 7}, {"too_old", 0}};
  const std::string page = to_page(result);
  EXPECT_THAT(page, HasSubstr("<td>dropped, replayed</td><td>7</td>"));
  EXPECT_THAT(page, Not(HasSubstr("too_old")));
}

}  // namespace
}  // namespace culvert
