// HTML of views, and the template filled.
#include "culvert/bench/report.hpp"

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <stdexcept>
#include <string_view>
#include <utility>
#include <vector>

#include "culvert/bench/figure_text.hpp"
#include "culvert/bench/view.hpp"
#include "page_files.hpp"

namespace culvert {
namespace {

namespace json = boost::json;

/// Text that means only itself, between tags and within quotes.
std::string escaped(std::string_view text) {
  std::string safe;
  for (const char letter : one_line(text)) {
    switch (letter) {
      case '&':
        safe += "&amp;";
        break;
      case '<':
        safe += "&lt;";
        break;
      case '>':
        safe += "&gt;";
        break;
      case '"':
        safe += "&quot;";
        break;
      case '\'':
        safe += "&#39;";
        break;
      default:
        safe += letter;
    }
  }
  return safe;
}

std::string element(const std::string& tag, std::string_view text, const std::string& attributes = "") {
  return "<" + tag + (attributes.empty() ? "" : " " + attributes) + ">" + escaped(text) + "</" + tag + ">";
}

/// The name of the mode as one of a class.
std::string class_of(BenchMode mode) {
  std::string name(to_string(mode));
  std::ranges::replace(name, '+', '-');
  return "class=\"" + name + "\"";
}

std::string cell_html(const ViewPoint& point, double divisor, const std::string& unit = "") {
  if (point.figure == nullptr) return "<td>–</td>";
  const std::string spread =
      "(" + short_number(point.figure->least() / divisor) + "–" + short_number(point.figure->most() / divisor) + ")";
  return "<td>" + escaped(short_number(point.figure->median() / divisor) + unit + signs_of(point)) + " " +
         element("span", spread, "class=\"spread\"") + "</td>";
}

std::string summary_of(const Views& views) {
  std::string html = element("h1", "One tunnel") + "\n";
  if (views.summary.empty()) return html + element("p", "Nothing of it was measured.", "class=\"verdict\"") + "\n";
  html += "<div class=\"table\"><table><tbody>\n";
  std::string about;
  for (const Summary& summary : views.summary) {
    const Scale scale = scale_for(summary.points.front().second.figure->median(), summary.kind.unit);
    for (const auto& [name, point] : summary.points) {
      html += "<tr>" + element("th", summary.name + ", " + name, "scope=\"row\"") +
              cell_html(point, scale.divisor, " " + scale.unit) + "</tr>\n";
    }
    about += (about.empty() ? "Measured: " : "; ") + summary.about;
  }
  return html + "</tbody></table></div>\n" + element("p", about + ".", "class=\"about\"") + "\n";
}

std::string answer_of(const Views& views) {
  if (views.is_of_one_tunnel) return summary_of(views);
  // The question is the page's heading.
  constexpr std::string_view question = "tun or tap?";
  const std::string verdict = verdict_of(views);
  std::string html = element("h1", question) + "\n" +
                     element("p", std::string_view(verdict).substr(question.size()), "class=\"verdict\"") + "\n";
  if (views.duels.empty()) return html;
  html += "<div class=\"table\"><table><thead><tr><td></td>";
  for (const Duel& duel : views.duels) html += element("th", duel.name, "scope=\"col\"");
  html += "</tr></thead><tbody>\n";
  for (const BenchMode mode : {BenchMode::Tun, BenchMode::Tap}) {
    html += "<tr>" + element("th", to_string(mode), class_of(mode) + " scope=\"row\"");
    for (const Duel& duel : views.duels) {
      const Scale scale = scale_for(std::max(duel.tun.figure->median(), duel.tap.figure->median()), duel.kind.unit);
      html += cell_html(mode == BenchMode::Tun ? duel.tun : duel.tap, scale.divisor, " " + scale.unit);
    }
    html += "</tr>\n";
  }
  std::string about;
  for (const Duel& duel : views.duels) about += (about.empty() ? "Compared: " : "; ") + duel.about;
  return html + "</tbody></table></div>\n" + element("p", about + ".", "class=\"about\"") + "\n";
}

std::string figure_html(const View& view) {
  const Scale scale = view.scale();
  std::string html = "<figure id=\"" + view.id + "\">\n<figcaption>" + element("h3", view.title) +
                     element("p", view.about + (view.about.empty() ? "" : "; ") + scale.unit, "class=\"about\"") +
                     "</figcaption>\n<div class=\"chart\"><canvas id=\"chart-" + view.id +
                     "\" role=\"img\" aria-label=\"" + escaped(view.title + ": the numbers are in the table below") +
                     "\"></canvas></div>\n<div class=\"table\"><table><thead><tr>" +
                     element("th", view.row_name, "scope=\"col\"");
  for (const BenchMode mode : view.columns) html += element("th", to_string(mode), class_of(mode) + " scope=\"col\"");
  html += "</tr></thead><tbody>\n";
  for (std::size_t row = 0; row < view.rows.size(); ++row) {
    html += "<tr>" + element("th", view.rows[row], "scope=\"row\"");
    for (const ViewPoint& point : view.points[row]) html += cell_html(point, scale.divisor);
    html += "</tr>\n";
  }
  return html + "</tbody></table></div>\n</figure>\n";
}

std::string sections_of(const Views& views) {
  std::string html;
  std::string_view topic;
  for (const View& view : views.views) {
    if (view.topic != topic) {
      html += (topic.empty() ? "" : "</div></section>\n") + std::string("<section>") + element("h2", view.topic) +
              "<div class=\"pictures\">\n";
      topic = view.topic;
    }
    html += figure_html(view);
  }
  if (!topic.empty()) html += "</div></section>\n";
  for (const MissingTopic& missing : views.missing) {
    html +=
        "<section>" + element("h2", missing.topic) + element("p", missing.why, "class=\"missing\"") + "</section>\n";
  }
  return html;
}

std::string cells_table(const BenchResult& result) {
  std::string html =
      "<details><summary>All cells</summary>\n<div class=\"table\"><table><thead><tr><th>cell</th><th>figure</th>"
      "<th>median</th><th>least</th><th>most</th><th>unit</th></tr></thead><tbody>\n";
  for (const Cell& cell : result.cells) {
    const std::string name = element("th", text_of(cell.key), "scope=\"row\"");
    for (const FigureKind& kind : figure_kinds) {
      const auto found = cell.figures.find(std::string(kind.name));
      if (found == cell.figures.end() || found->second.rounds.empty()) continue;
      const Figure& figure = found->second;
      html += "<tr>" + name + element("td", std::string(kind.name) + signs_of({&cell, &figure}));
      for (const double value : {figure.median(), figure.least(), figure.most()}) {
        const Scale scale = scale_for(figure.median(), kind.unit);
        html += element("td", short_number(value / scale.divisor));
      }
      html += element("td", scale_for(figure.median(), kind.unit).unit) + "</tr>\n";
    }
    for (const auto& [reason, count] : cell.drops) {
      if (count == 0) continue;
      html += "<tr>" + name + element("td", "dropped, " + reason) + element("td", std::to_string(count)) +
              "<td></td><td></td><td>packets</td></tr>\n";
    }
  }
  return html + "</tbody></table></div></details>\n";
}

std::string machine_of(const BenchResult& result, const Views& views) {
  std::string html =
      "<section>" + element("h2", "How it was measured") +
      element("p", "Median (least–most) of " + std::to_string(result.rounds) + " rounds." +
                       (views.is_of_one_tunnel
                            ? ""
                            : " tun and tap are even where their spreads overlap. Where the bare uplink is not drawn, "
                              "a click on its name in the legend draws it; its TCP uses the largest packets that it "
                              "carries.")) +
      element("p", limited_note) + element("p", wide_note);
  for (const std::string& note : result.notes) html += element("p", "Note: " + note);
  html += "</section>\n<section>" + element("h2", "The machine") + "<div class=\"table\"><table><tbody>\n";
  for (const auto& [name, value] : facts_about(result)) {
    html += "<tr>" + element("th", name, "scope=\"row\"") + element("td", value, "style=\"white-space:normal\"") +
            "</tr>\n";
  }
  return html + "</tbody></table></div>\n" + cells_table(result) + "</section>\n";
}

json::value point_value(const ViewPoint& point, double divisor) {
  if (point.figure == nullptr) return nullptr;
  return {{"median", point.figure->median() / divisor},
          {"least", point.figure->least() / divisor},
          {"most", point.figure->most() / divisor},
          {"signs", signs_of(point)}};
}

std::string view_data(const Views& views) {
  constexpr std::string_view shapes[] = {"lines", "bars", "stacked"};
  json::array all;
  for (const View& view : views.views) {
    const Scale scale = view.scale();
    json::array rows;
    json::array columns;
    json::array points;
    for (const std::string& row : view.rows) rows.emplace_back(row);
    for (const BenchMode mode : view.columns) columns.emplace_back(to_string(mode));
    for (const auto& row : view.points) {
      json::array values;
      for (const ViewPoint& point : row) values.push_back(point_value(point, scale.divisor));
      points.emplace_back(std::move(values));
    }
    all.push_back({{"id", view.id},
                   {"shape", shapes[static_cast<std::size_t>(view.shape)]},
                   {"unit", scale.unit},
                   {"logarithmic", view.is_logarithmic},
                   {"rowName", view.row_name},
                   {"rows", std::move(rows)},
                   {"columns", std::move(columns)},
                   {"points", std::move(points)}});
  }
  // Nothing in it may end the script element.
  std::string text;
  for (const char letter : json::serialize(all)) {
    if (letter == '<') {
      text += "\\u003c";
    } else {
      text += letter;
    }
  }
  return text;
}

/// `text` with each {{name}} replaced once: what is put in stays as it is.
std::string filled(std::string_view text, const std::vector<std::pair<std::string_view, std::string_view>>& values) {
  std::string result;
  for (;;) {
    const std::size_t begin = text.find("{{");
    result += text.substr(0, begin);
    if (begin == std::string_view::npos) return result;
    const std::size_t end = text.find("}}", begin);
    const std::string_view name = text.substr(begin + 2, end - begin - 2);
    const auto value = std::ranges::find(values, name, &std::pair<std::string_view, std::string_view>::first);
    if (value == values.end()) throw std::logic_error("the report has no value for " + std::string(name));
    result += value->second;
    text.remove_prefix(end + 2);
  }
}

}  // namespace

std::string to_page(const BenchResult& result) {
  const Views views = views_of(result);
  const PageFiles files = page_files();
  return filled(files.html, {{"style", files.css},
                             {"answer", answer_of(views)},
                             {"sections", sections_of(views)},
                             {"machine", machine_of(result, views)},
                             {"views", view_data(views)},
                             {"chart_license", files.chart_license},
                             {"chart", files.chart},
                             {"script", files.script}});
}

}  // namespace culvert
