// culvert topology: all namespaces and what joins them.
#include "topology.hpp"

#include <langinfo.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include <clocale>
#include <cstdio>
#include <cstring>

#include "culvert/io/whole_file.hpp"
#include "culvert/topology/look.hpp"
#include "culvert/topology/render.hpp"

namespace culvert {
namespace {

topology::TreeStyle style_of_terminal() {
  topology::TreeStyle style;
  std::setlocale(LC_CTYPE, "");
  style.has_unicode = std::strcmp(::nl_langinfo(CODESET), "UTF-8") == 0;
  std::setlocale(LC_CTYPE, "C");
  winsize size{};
  if (::isatty(STDOUT_FILENO) == 1 && ::ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0) style.width = size.ws_col;
  return style;
}

/// Each namespace is held open twice while it is looked at.
void allow_many_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

}  // namespace

TopologyCommand::TopologyCommand(CLI::App& app) {
  command_ = app.add_subcommand("topology", "Show all network namespaces, their links, and what joins them");
  auto* const json = command_->add_flag("--json", as_json_, "as JSON");
  svg_option_ = command_->add_option("--svg", svg_file_, "as a drawing, into FILE or to standard output")
                    ->type_name("FILE")
                    ->expected(0, 1)
                    ->excludes(json);
  command_->footer(
      "Example: culvert topology --svg net.svg. As root it shows more: namespaces and tunnels of other users.");
}

int TopologyCommand::run() const {
  allow_many_files();
  const topology::Topology topology = topology::look();
  if (as_json_) {
    std::puts(topology::to_json(topology).c_str());
  } else if (svg_option_->count() == 0) {
    std::fputs(topology::to_tree(topology, style_of_terminal()).c_str(), stdout);
  } else if (svg_file_.empty() || svg_file_ == "-") {
    std::fputs(topology::to_svg(topology).c_str(), stdout);
  } else {
    WholeFile(svg_file_, "writing the drawing").write(topology::to_svg(topology));
  }
  return 0;
}

}  // namespace culvert
