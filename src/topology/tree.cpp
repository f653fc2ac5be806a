// A topology as a tree for the terminal.
#include <algorithm>

#include "branches.hpp"
#include "culvert/base/printable.hpp"
#include "culvert/topology/render.hpp"
#include "wording.hpp"

namespace culvert::topology {

namespace {

struct Strokes {
  std::string_view between, last, bar, blank, arrow;
};
constexpr Strokes unicode_strokes{"├─ ", "└─ ", "│  ", "   ", "⇄"};
constexpr Strokes ascii_strokes{"|- ", "`- ", "|  ", "   ", "<->"};

/// One link or peer, before it is known how wide its columns are.
struct Row {
  std::string name;  ///< with its strokes
  std::string bars;  ///< what stands in front of further lines
  std::string kind, state, mtu;
  std::vector<std::string> words;
};

std::string padded(std::string text, std::size_t width) {
  const std::size_t columns = columns_of(text);
  return columns < width ? text.append(width - columns, ' ') : text;
}

std::string padded_left(const std::string& text, std::size_t width) {
  return std::string(width - std::min(width, columns_of(text)), ' ') + text;
}

class Writing {
 public:
  Writing(const Topology& topology, TreeStyle style)
      : topology_(topology), style_(style), strokes_(style.has_unicode ? unicode_strokes : ascii_strokes) {}

  std::string write() {
    std::vector<std::vector<Row>> rows;
    for (std::size_t space = 0; space < topology_.namespaces.size(); ++space) rows.push_back(rows_of(space));
    for (const auto& of_space : rows) {
      for (const Row& row : of_space) measure(row);
    }
    for (std::size_t space = 0; space < rows.size(); ++space) {
      if (space != 0) text_ += '\n';
      head(topology_.namespaces[space], !rows[space].empty());
      for (const Row& row : rows[space]) body(row);
    }
    for (const std::string& remark : topology_.remarks) text_ += "\nnot seen: " + printable(remark) + "\n";
    return std::move(text_);
  }

 private:
  std::vector<Row> rows_of(std::size_t space) {
    std::vector<Row> rows;
    const std::string& problem = topology_.namespaces[space].problem;
    if (!problem.empty()) rows.push_back({std::string(strokes_.last) + printable(problem), "   ", "", "", "", {}});
    add(space, branches_of(topology_, space), "", rows);
    return rows;
  }

  void add(std::size_t space, const std::vector<Branch>& branches, const std::string& before, std::vector<Row>& rows) {
    for (const Branch& branch : branches) {
      const bool is_last = &branch == &branches.back();
      const Link& link = *branch.link;
      const std::string below = before + std::string(is_last ? strokes_.blank : strokes_.bar);
      const bool has_peers = link.tunnel && !link.tunnel->peers.empty();
      const std::string bars = below + std::string(has_peers || !branch.below.empty() ? strokes_.bar : "");
      const bool is_below_lower = link.kind != "veth" && !before.empty() && link.master == 0;
      rows.push_back({before + std::string(is_last ? strokes_.last : strokes_.between) + printable(link.name), bars,
                      printable(link.kind), link.state, "mtu " + std::to_string(link.mtu),
                      words_about(topology_, space, link, is_below_lower, strokes_.arrow)});
      if (has_peers) add(*link.tunnel, below, !branch.below.empty(), rows);
      add(space, branch.below, below, rows);
    }
  }

  void add(const Tunnel& tunnel, const std::string& before, bool goes_on, std::vector<Row>& rows) {
    for (const Peer& peer : tunnel.peers) {
      const bool is_last = &peer == &tunnel.peers.back() && !goes_on;
      rows.push_back({before + std::string(is_last ? strokes_.last : strokes_.between) + "peer " + label_of(peer),
                      before + std::string(is_last ? strokes_.blank : strokes_.bar), "", "", "",
                      words_about(topology_, peer)});
    }
  }

  void measure(const Row& row) {
    if (row.kind.empty()) return;
    name_ = std::max(name_, columns_of(row.name));
    kind_ = std::max(kind_, columns_of(row.kind));
    state_ = std::max(state_, columns_of(row.state));
    mtu_ = std::max(mtu_, columns_of(row.mtu));
  }

  void line(const std::string& text) {
    const std::size_t end = text.find_last_not_of(' ');
    text_.append(text, 0, end == std::string::npos ? 0 : end + 1) += '\n';
  }

  [[nodiscard]] std::size_t room_after(std::size_t columns) const {
    if (style_.width == 0) return std::string::npos / 2;
    return style_.width > columns ? style_.width - columns : 1;
  }

  void head(const Namespace& space, bool has_rows) {
    const std::string indent = has_rows ? std::string(strokes_.bar) + " " : "    ";
    std::vector<std::string> words = words_about(space);
    std::string first = label_of(space);
    while (!words.empty() && columns_of(first) + 2 + columns_of(words.front()) <= room_after(0)) {
      first += "  " + words.front();
      words.erase(words.begin());
    }
    line(first);
    for (const std::string& further : lines_of(words, room_after(columns_of(indent)))) line(indent + further);
  }

  void body(const Row& row) {
    constexpr std::size_t gap = 2;
    constexpr std::size_t room_wanted = 32;
    const std::size_t start = name_ + kind_ + state_ + mtu_ + 4 * gap;
    const std::string space(gap, ' ');
    std::string first = row.name;
    if (!row.kind.empty()) {
      first = padded(row.name, name_) + space + padded(row.kind, kind_) + space + padded(row.state, state_) + space +
              padded_left(row.mtu, mtu_);
    }
    const bool has_column = room_after(start) >= room_wanted;
    const std::size_t hang = has_column ? start : columns_of(row.bars) + gap;
    std::vector<std::string> lines = lines_of(row.words, room_after(hang));
    if (has_column && !lines.empty() && columns_of(first) + gap <= start) {
      line(padded(first, start) + lines.front());
      lines.erase(lines.begin());
    } else {
      line(first);
    }
    for (const std::string& further : lines) line(padded(row.bars, hang) + further);
  }

  const Topology& topology_;
  TreeStyle style_;
  const Strokes& strokes_;
  std::size_t name_ = 0, kind_ = 0, state_ = 0, mtu_ = 0;
  std::string text_;
};

}  // namespace

std::string to_tree(const Topology& topology, TreeStyle style) {
  return Writing(topology, style).write();
}

}  // namespace culvert::topology
