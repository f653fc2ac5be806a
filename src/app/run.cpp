// culvert run and up: the tunnel of a file, from the first step to the last.
#include <fcntl.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
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
#include <type_traits>
#include <utility>

#include "bridge_commands.hpp"
#include "commands.hpp"
#include "culvert/config/config_file.hpp"
#include "culvert/crypto/aead.hpp"
#include "culvert/io/clock.hpp"
#include "culvert/quick/advice.hpp"
#include "culvert/quick/current_config.hpp"
#include "culvert/quick/difference.hpp"
#include "culvert/quick/setup.hpp"
#include "culvert/runtime/busy_poll.hpp"
#include "culvert/runtime/cipher_choice.hpp"
#include "culvert/runtime/control_socket.hpp"
#include "culvert/runtime/daemon.hpp"
#include "culvert/runtime/log.hpp"
#include "culvert/runtime/tunnel.hpp"

namespace culvert {
namespace {

namespace asio = boost::asio;

/// /run is memory.
constexpr std::size_t log_size_max = 4 << 20;
constexpr auto policy_pause = std::chrono::milliseconds(300);

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
    decide_saving();
  }

  /// Returns when a signal has come and all is undone. Throws what kept the tunnel from coming up, with all undone.
  bool live(const std::function<void()>& on_up) {
    try {
      come_up();
      on_up();
      if (!is_signalled_) {
        io_.restart();
        run_busily(io_, busy_poll_of(tunnel_->config().busy_poll));
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
    control_->on_reload = [this](const ReloadRequest& request) { return reload(request); };
    control_->on_bench = [this](PublicKey peer) { return tunnel_->ask_for_bench(peer); };
    run_beside(io_, [this] { setup_.finish_up(tunnel_->config()); });
    is_up_ = true;
    guard_policy();
    spdlog::info("{} is up, listening on port {}, {} peer(s)", setup_.name(), tunnel_->device().sockets().port(),
                 tunnel_->device().engine()->peers().size());
  }

  /// What is slow is done by a thread of its own, while packets and other clients are served.
  asio::awaitable<ReloadAnswer> reload(const ReloadRequest& request) {
    ReloadAnswer answer;
    if (!is_up_ || std::exchange(is_reloading_, true)) {
      answer.error = is_up_ ? "another reload is under way" : "the tunnel is on its way up or down";
      co_return answer;
    }
    try {
      const auto prepare = [&] { return prepare_reload(request.path); };
      Reload reload = co_await aside(prepare);
      if (!request.dry_run && !reload.differences.empty() && is_up_) co_await put_in_force(reload);
      answer.differences = std::move(reload.differences);
    } catch (const std::exception& error) {
      answer.error = error.what();
    }
    is_reloading_ = false;
    co_return answer;
  }

  struct Reload {
    Config wanted;
    PresentState present;
    std::vector<std::string> differences;
  };

  Reload prepare_reload(const std::string& path) {
    Reload reload;
    reload.wanted = read_config_file(path);
    check_cipher(reload.wanted, is_usable(reload.wanted.cipher.suite()));
    reload.present.file = &tunnel_->config();
    setup_.complete(tunnel_->config(), reload.wanted);
    setup_.look(reload.present);
    reload.differences = differences(reload.present, reload.wanted, setup_.routes_of(tunnel_->config()),
                                     setup_.routes_of(reload.wanted));
    return reload;
  }

  asio::awaitable<void> put_in_force(Reload& reload) {
    const bool is_set_up_first = setup_.moves_under_rules(reload.wanted);
    bool is_applied = false;
    bool is_set_up = false;
    std::exception_ptr failure;
    const auto change = [&] { setup_.change(tunnel_->config(), reload.wanted); };
    try {
      if (is_set_up_first) co_await aside(change);
      is_set_up = is_set_up_first;
      apply(reload.wanted);
      is_applied = true;
      if (!is_set_up_first) co_await aside(change);
    } catch (...) {
      failure = std::current_exception();
    }
    if (failure && is_applied) tunnel_->go_back(reload.present.device);
    const auto end = [&] {
      if (failure && is_set_up) setup_.change(reload.wanted, tunnel_->config());
      setup_.end_change(!failure);
    };
    co_await aside(end);
    if (failure) std::rethrow_exception(failure);
    tunnel_->keep(std::move(reload.wanted), setup_.setup().default_route_table);
    decide_saving();
    guard_policy();
    spdlog::info("{} is reloaded, {} difference(s)", setup_.name(), reload.differences.size());
  }

  void apply(const Config& wanted) {
    const auto done = tunnel_->apply(wanted);
    if (done) return;
    std::string what = "setting port, mark and peers";
    if (wanted.socket_namespace != tunnel_->config().socket_namespace) {
      what += wanted.socket_namespace.empty() ? ", without SocketNamespace"
                                              : ", in SocketNamespace " + printable(wanted.socket_namespace);
    }
    throw std::system_error(done.error().value(), std::system_category(), what);
  }

  template <class Work>
  asio::awaitable<std::invoke_result_t<Work>> aside(Work work) {
    return asio::co_spawn(
        aside_, [work]() -> asio::awaitable<std::invoke_result_t<Work>> { co_return work(); }, asio::use_awaitable);
  }

  void decide_saving() {
    const Config& config = tunnel_ ? tunnel_->config() : config_;
    save_ = nullptr;
    if (!config.save_config) return;
    // A daemon's working directory is another.
    save_ = [this, path = real_path_of(config.path)] { save_config(path, setup_.name(), JournalFolder()); };
  }

  void guard_policy() {
    policy_timer_.cancel();
    policy_ready_.reset();
    policy_.reset();
    if (!setup_.has_policy()) return;
    policy_.emplace(setup_.watch_policy());
    const int copy = ::fcntl(policy_->fd(), F_DUPFD_CLOEXEC, 3);
    if (copy < 0) throw std::system_error(errno, std::system_category(), "duplicating a descriptor");
    policy_ready_.emplace(io_, copy);
    await_policy();
  }

  void await_policy() {
    policy_ready_->async_wait(asio::posix::stream_descriptor::wait_read, [this](boost::system::error_code failed) {
      if (failed) return;
      // Whoever removes rules does so for a while; and two that guard theirs must not chase each other.
      policy_timer_.expires_after(policy_pause);
      policy_timer_.async_wait([this](boost::system::error_code cancelled) {
        if (!cancelled) restore_policy();
      });
    });
  }

  void restore_policy() {
    if (!is_up_ || !policy_) return;
    try {
      // What a reload changes just now is its own.
      if (!is_reloading_ && policy_->take() && setup_.restore_policy(tunnel_->config()) != 0 &&
          policy_log_.allow(read_clocks().time)) {
        spdlog::warn("{}: somebody removed routing rules or default routes; they were made again", setup_.name());
      }
    } catch (const std::system_error& error) {
      if (policy_log_.allow(read_clocks().time)) spdlog::warn("{}: {}", setup_.name(), error.what());
    }
    await_policy();
  }

  bool go_down() {
    const bool was_up = std::exchange(is_up_, false);
    aside_.join();
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
  std::optional<PolicyMonitor> policy_;
  std::optional<asio::posix::stream_descriptor> policy_ready_;
  asio::steady_timer policy_timer_{io_};
  LogLimit policy_log_{1, std::chrono::seconds(60)};
  asio::thread_pool aside_{1};
  bool is_up_ = false;
  bool is_reloading_ = false;
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
  restore_unwatched_nics();
  File file = read_file(file_or_name);
  warn_about(file.config);
  std::signal(SIGPIPE, SIG_IGN);
  return Run(std::move(file.config), std::move(file.name), false).live([] {}) ? 0 : 1;
}

int up_command(const std::string& file_or_name) {
  restore_unwatched_nics();
  Daemon daemon(false);
  File file = read_file(file_or_name);
  warn_about(file.config);
  std::signal(SIGPIPE, SIG_IGN);
  const std::string log = JournalFolder().path_of(file.name, ".log");
  const bool has_journal = std::getenv("JOURNAL_STREAM") != nullptr;
  const auto on_up = [&] {
    daemon.ready(has_journal, has_journal ? std::string() : log);
    if (!has_journal) limit_log(log_size_max);
  };
  return Run(std::move(file.config), std::move(file.name), true).live(on_up) ? 0 : 1;
}

}  // namespace culvert
