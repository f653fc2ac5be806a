// culvert run and up: the tunnel of a file, from the first step to the last.
#include <fcntl.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <exception>
#include <functional>
#include <memory>
#include <optional>
#include <system_error>
#include <thread>
#include <utility>

#include "commands.hpp"
#include "culvert/config/config_file.hpp"
#include "culvert/io/clock.hpp"
#include "culvert/quick/advice.hpp"
#include "culvert/quick/current_config.hpp"
#include "culvert/quick/setup.hpp"
#include "culvert/runtime/control_socket.hpp"
#include "culvert/runtime/daemon.hpp"
#include "culvert/runtime/log.hpp"
#include "culvert/runtime/tunnel.hpp"

namespace culvert {
namespace {

namespace asio = boost::asio;

constexpr auto rules_pause = std::chrono::milliseconds(300);

/// Runs `io` on this thread while another does `work`, which may take as long as the user's hooks do.
void run_beside(asio::io_context& io, const std::function<void()>& work) {
  std::exception_ptr failure;
  const auto guard = asio::make_work_guard(io);
  std::thread worker([&] {
    try {
      work();
    } catch (...) {
      failure = std::current_exception();
    }
    asio::post(io, [&io] { io.stop(); });
  });
  io.restart();
  io.run();
  worker.join();
  if (failure) std::rethrow_exception(failure);
}

std::string real_path_of(const std::string& path) {
  const std::unique_ptr<char, void (*)(void*)> real(::realpath(path.c_str(), nullptr), std::free);
  if (!real) throw std::system_error(errno, std::system_category(), "finding " + printable(path));
  return real.get();
}

class Run {
 public:
  Run(Config config, std::string name, bool keep_failures)
      : config_(std::move(config)),
        setup_(config_, std::move(name), options_of(keep_failures)),
        signals_(io_, SIGINT, SIGTERM, SIGHUP) {
    await_signal();
    if (!config_.save_config) return;
    // A daemon's working directory is another.
    save_ = [this, path = real_path_of(config_.path)] { save_config(path, setup_.name(), JournalFolder()); };
  }

  /// Returns when a signal has come and all is undone. Throws what kept the tunnel from coming up, with all undone.
  bool live(const std::function<void()>& on_up) {
    try {
      come_up();
      on_up();
      if (!is_signalled_) {
        io_.restart();
        io_.run();
      }
    } catch (...) {
      go_down();
      throw;
    }
    return go_down();
  }

 private:
  static QuickSetup::Options options_of(bool keep_failures) {
    QuickSetup::Options options;
    options.keep_failures = keep_failures;
    return options;
  }

  void await_signal() {
    signals_.async_wait([this](boost::system::error_code failed, int) {
      if (failed) return;
      is_signalled_ = true;
      setup_.interrupt();
      if (is_up_) io_.stop();
      await_signal();
    });
  }

  void come_up() {
    run_beside(io_, [this] { setup_.prepare(config_); });
    tunnel_.emplace(io_, std::move(config_), setup_.name(), setup_.setup());
    control_.emplace(io_, tunnel_->device(), setup_.name());
    run_beside(io_, [this] { setup_.finish_up(tunnel_->config()); });
    is_up_ = true;
    guard_rules();
    spdlog::info("{} is up, listening on port {}, {} peer(s)", setup_.name(), tunnel_->device().sockets().port(),
                 tunnel_->device().engine().peers().size());
  }

  void guard_rules() {
    if (!setup_.has_rules()) return;
    rules_.emplace(setup_.watch_rules());
    const int copy = ::fcntl(rules_->fd(), F_DUPFD_CLOEXEC, 3);
    if (copy < 0) throw std::system_error(errno, std::system_category(), "duplicating a descriptor");
    rules_ready_.emplace(io_, copy);
    await_rules();
  }

  void await_rules() {
    rules_ready_->async_wait(asio::posix::stream_descriptor::wait_read, [this](boost::system::error_code failed) {
      if (failed) return;
      // Whoever removes rules does so for a while; and two that guard theirs must not chase each other.
      rules_timer_.expires_after(rules_pause);
      rules_timer_.async_wait([this](boost::system::error_code cancelled) {
        if (!cancelled) restore_rules();
      });
    });
  }

  void restore_rules() {
    if (!is_up_) return;
    try {
      if (rules_->take() && setup_.restore_rules() != 0 && rules_log_.allow(read_clocks().time)) {
        spdlog::warn("{}: somebody removed routing rules; they were made again", setup_.name());
      }
    } catch (const std::system_error& error) {
      if (rules_log_.allow(read_clocks().time)) spdlog::warn("{}: {}", setup_.name(), error.what());
    }
    await_rules();
  }

  bool go_down() {
    const bool was_up = std::exchange(is_up_, false);
    if (was_up) spdlog::info("{} is going down", setup_.name());
    // Hooks may use the tunnel until it is taken from them.
    if (tunnel_) {
      run_beside(io_, [this, was_up] { setup_.begin_down(was_up ? save_ : nullptr); });
    } else {
      setup_.begin_down();
    }
    control_.reset();
    tunnel_.reset();
    return setup_.end_down();
  }

  asio::io_context io_{1};
  Config config_;  ///< until the tunnel has it
  QuickSetup setup_;
  asio::signal_set signals_;
  std::function<void()> save_;  ///< with SaveConfig
  std::optional<Tunnel> tunnel_;
  std::optional<ControlSocket> control_;
  std::optional<RuleMonitor> rules_;
  std::optional<asio::posix::stream_descriptor> rules_ready_;
  asio::steady_timer rules_timer_{io_};
  LogLimit rules_log_{1, std::chrono::seconds(60)};
  bool is_up_ = false;
  bool is_signalled_ = false;
};

struct File {
  Config config;
  std::string name;
};

File read_file(const std::string& file_or_name) {
  const std::string path = config_path_of(file_or_name);
  return {read_config_file(path), device_name_of(path)};
}

void warn_about(const Config& config) {
  for (const std::string& warning : advice_on(config)) spdlog::warn("{}", warning);
}

}  // namespace

int run_command(const std::string& file_or_name) {
  File file = read_file(file_or_name);
  warn_about(file.config);
  std::signal(SIGPIPE, SIG_IGN);
  return Run(std::move(file.config), std::move(file.name), false).live([] {}) ? 0 : 1;
}

int up_command(const std::string& file_or_name) {
  Daemon daemon(false);
  File file = read_file(file_or_name);
  warn_about(file.config);
  std::signal(SIGPIPE, SIG_IGN);
  const std::string log = JournalFolder().path_of(file.name, ".log");
  const bool has_journal = std::getenv("JOURNAL_STREAM") != nullptr;
  const auto on_up = [&] { daemon.ready(has_journal, has_journal ? std::string() : log); };
  return Run(std::move(file.config), std::move(file.name), true).live(on_up) ? 0 : 1;
}

}  // namespace culvert
