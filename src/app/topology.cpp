// culvert topology: all namespaces and what joins them.
#include "topology.hpp"

#include <fcntl.h>
#include <langinfo.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <clocale>
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "culvert/io/unique_fd.hpp"
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

void write_all(const UniqueFd& file, std::string_view text) {
  while (!text.empty()) {
    const ssize_t size = ::write(file.get(), text.data(), text.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) throw std::system_error(errno, std::system_category());
    text.remove_prefix(static_cast<std::size_t>(size));
  }
}

/// No signal ends the program while this lives, so that what is half done can be undone.
class SignalsWait {
 public:
  SignalsWait() {
    sigset_t all;
    ::sigfillset(&all);
    ::sigprocmask(SIG_BLOCK, &all, &before_);
  }
  ~SignalsWait() { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }
  SignalsWait(const SignalsWait&) = delete;
  SignalsWait& operator=(const SignalsWait&) = delete;

 private:
  sigset_t before_{};
};

/// Under its name there is never a part of it: it is put there when it is whole.
void write_file(const std::string& wanted, std::string_view text) {
  const std::string what = "writing the drawing to " + wanted;
  struct stat status {};
  const bool is_there = ::stat(wanted.c_str(), &status) == 0;
  // Where a link leads, not in place of the link.
  const std::string path = is_there ? std::filesystem::canonical(wanted).string() : wanted;
  if (is_there && !S_ISREG(status.st_mode)) {
    // A pipe or a terminal has no name to be put under.
    const UniqueFd file(::open(path.c_str(), O_WRONLY | O_CLOEXEC));
    if (!file.is_open()) throw std::system_error(errno, std::system_category(), what);
    return write_all(file, text);
  }
  const SignalsWait wait;
  std::string fresh = path + ".XXXXXX";
  const UniqueFd file(::mkostemp(fresh.data(), O_CLOEXEC));
  if (!file.is_open()) throw std::system_error(errno, std::system_category(), what);
  try {
    write_all(file, text);
    const mode_t mask = ::umask(0);
    ::umask(mask);
    const mode_t mode = is_there ? status.st_mode & 07777 : 0666 & ~mask;
    if (::fchmod(file.get(), mode) != 0 || ::fsync(file.get()) != 0 || ::rename(fresh.c_str(), path.c_str()) != 0) {
      throw std::system_error(errno, std::system_category());
    }
  } catch (const std::system_error& error) {
    ::unlink(fresh.c_str());
    throw std::system_error(error.code(), what);
  }
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
    write_file(svg_file_, topology::to_svg(topology));
  }
  return 0;
}

}  // namespace culvert
