// Clients of the control socket, well-behaved and not. What wg says to it is tried in tests/lab.
#include "culvert/runtime/control_socket.hpp"

#include <gmock/gmock.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <fstream>

#include "culvert/io/clock.hpp"
#include "support/captured_log.hpp"
#include "support/crypto_ready.hpp"
#include "support/ethernet_frames.hpp"
#include "support/expect_system_error.hpp"
#include "support/io_loop.hpp"
#include "support/temporary_directory.hpp"

namespace culvert {
namespace {

using namespace std::chrono_literals;
using test::run_for;
using test::run_until;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view question = "get=1\n\n";

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::copy(path.begin(), path.end(), address.sun_path);
  return address;
}

class Client {
 public:
  explicit Client(const std::string& path) : socket_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) {
    const sockaddr_un there = address_of(path);
    is_connected_ = ::connect(socket_.get(), reinterpret_cast<const sockaddr*>(&there), sizeof there) == 0;
  }

  [[nodiscard]] bool is_connected() const { return is_connected_; }
  /// How much was taken at once.
  std::size_t send(std::string_view text) {
    const ssize_t sent = ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL);
    return sent > 0 ? static_cast<std::size_t>(sent) : 0;
  }
  /// All that has come so far.
  const std::string& text() {
    std::array<char, 65536> chunk;
    for (;;) {
      const ssize_t got = ::recv(socket_.get(), chunk.data(), chunk.size(), 0);
      if (got > 0) {
        text_.append(chunk.data(), static_cast<std::size_t>(got));
        continue;
      }
      is_closed_ = is_closed_ || got == 0 || errno == ECONNRESET;
      return text_;
    }
  }
  bool is_closed() {
    (void)text();
    return is_closed_;
  }
  bool is_answered(std::size_t times = 1) {
    std::size_t ends = 0;
    for (auto at = text().find("\n\n"); at != std::string::npos; at = text_.find("\n\n", at + 1)) ++ends;
    return ends >= times;
  }

 private:
  UniqueFd socket_;
  std::string text_;
  bool is_connected_ = false;
  bool is_closed_ = false;
};

class ControlSocketTest : public ::testing::Test {
 protected:
  ControlSocketTest() { initialize_crypto(); }

  std::unique_ptr<ControlSocket> serve(std::chrono::seconds patience = 30s) {
    return std::make_unique<ControlSocket>(io_, device_, "test0", directory_.path(), patience);
  }
  std::string answer_to(std::string_view request) {
    Client client(path_);
    client.send(request);
    run_until(io_, [&] { return client.is_answered() || client.is_closed(); });
    return client.text();
  }

  test::TemporaryDirectory directory_;
  std::string path_ = directory_.file("test0.sock");
  boost::asio::io_context io_{1};
  Device device_{io_, NetworkNamespace::current(), 0, 0};
};

TEST_F(ControlSocketTest, tells_what_the_device_is) {
  const auto control = serve();
  const std::string answer = answer_to(question);
  EXPECT_THAT(answer, StartsWith("listen_port=" + std::to_string(device_.sockets().port()) + "\n"));
  EXPECT_THAT(answer, HasSubstr("\nculvert_pid=" + std::to_string(::getpid()) + "\n"));
  EXPECT_THAT(answer, HasSubstr("\nculvert_workers=1\n"));
  EXPECT_THAT(answer, EndsWith("\nerrno=0\n\n"));
}

TEST_F(ControlSocketTest, tells_what_a_peer_is_and_no_cipher_without_a_session) {
  const auto control = serve();
  DeviceChange change;
  change.cipher = CipherChoice::automatic();
  change.peers.emplace_back().public_key = PublicKey{std::array<std::byte, key_size>{std::byte{9}}};
  ASSERT_TRUE(device_.apply(std::move(change)));
  device_.engine()->set_mode(DeviceMode::Switched);
  const std::string answer = answer_to(question);
  EXPECT_THAT(answer, HasSubstr("\nculvert_cipher=auto\n"));
  EXPECT_THAT(answer, HasSubstr("\nculvert_peer=unknown\n"));
  EXPECT_THAT(answer, testing::Not(HasSubstr("culvert_peer_cipher")));
  EXPECT_THAT(answer, testing::Not(HasSubstr("culvert_mismatch"))) << "it may yet say that it is switched";
}

TEST_F(ControlSocketTest, lists_the_stations_of_a_switch_where_they_are) {
  const auto control = serve();
  EXPECT_THAT(answer_to(question), HasSubstr("\nculvert_mode=tun\n"));
  device_.engine()->set_mode(DeviceMode::Switched);
  DeviceChange change;
  change.peers.emplace_back().public_key = PublicKey{std::array<std::byte, key_size>{std::byte{9}}};
  change.peers.emplace_back().public_key = PublicKey{std::array<std::byte, key_size>{std::byte{10}}};
  ASSERT_TRUE(device_.apply(std::move(change)));
  // From the device, more than fit into one piece of the answer; nobody is reached.
  RecordingDatagramSink nowhere;
  for (std::uint64_t i = 0; i < 1000; ++i) {
    const FrameBuilder frame{.destination = everybody, .source = MacAddress(0x020000000000 + i), .vlan = 5};
    device_.engine()->on_frame(frame.frame(), read_clocks(), nowhere);
  }
  const std::string answer = answer_to(question);
  EXPECT_THAT(answer, HasSubstr("\nculvert_mode=tap\n"));
  const std::size_t peers = answer.find("public_key=");
  std::size_t count = 0;
  for (std::size_t at = answer.find("\nculvert_station="); at != std::string::npos;
       at = answer.find("\nculvert_station=", at + 1)) {
    EXPECT_LT(at, peers) << "they are local";
    ++count;
  }
  EXPECT_EQ(count, 1000u);
  EXPECT_THAT(answer, HasSubstr("\nculvert_station=02:00:00:00:03:e7 5 0\n"));
}

TEST_F(ControlSocketTest, shows_labels_so_that_they_cannot_forge_lines) {
  const auto control = serve();
  DeviceChange change;
  const PublicKey key{std::array<std::byte, key_size>{std::byte{9}}};
  change.peers.emplace_back().public_key = key;
  ASSERT_TRUE(device_.apply(std::move(change)));
  device_.labels.peers[key] = "a\nallowed_ip=0.0.0.0/0";
  device_.labels.device_namespace = "b\nfwmark=1";
  device_.labels.socket_namespace = "c\nfwmark=2";
  const std::string answer = answer_to(question);
  EXPECT_THAT(answer, HasSubstr("\nculvert_name=a\\x0aallowed_ip=0.0.0.0/0\n"));
  EXPECT_THAT(answer, HasSubstr("\nculvert_namespace=b\\x0afwmark=1\n"));
  EXPECT_THAT(answer, HasSubstr("\nculvert_socket_namespace=c\\x0afwmark=2\n"));
}

TEST_F(ControlSocketTest, answers_several_questions_on_one_connection_together_or_in_pieces) {
  const auto control = serve();
  Client client(path_);
  client.send("get=1\n\nget=1\n\nge");
  run_until(io_, [&] { return client.is_answered(2); });
  client.send("t=1\n");
  run_for(io_, 20ms);
  EXPECT_FALSE(client.is_answered(3));
  client.send("\n");
  run_until(io_, [&] { return client.is_answered(3); });
  EXPECT_FALSE(client.is_closed());
}

constexpr const char* bench_request =
    "culvert_bench=1\npublic_key=0101010101010101010101010101010101010101010101010101010101010101\n\n";

TEST_F(ControlSocketTest, asks_a_peer_for_a_benchmark_and_tells_what_was_granted) {
  const auto socket = serve();
  std::optional<PublicKey> asked;
  socket->on_bench = [&](PublicKey peer) -> boost::asio::awaitable<BenchReply> {
    asked = peer;
    BenchReply reply;
    reply.granted.emplace();
    reply.granted->verdict = BenchVerdict::Granted;
    reply.granted->port = 4711;
    reply.granted->mtu = 1400;
    reply.granted->seconds = 900;
    reply.granted->rate = 5'000'000;
    reply.granted->v6 = *Address::parse("fd00::7");
    std::ranges::fill(reply.granted->token.writable_bytes(), std::byte{0xab});
    co_return reply;
  };
  std::string token;
  for (int i = 0; i < 32; ++i) token += "ab";
  EXPECT_EQ(answer_to(bench_request),
            "culvert_bench_token=" + token +
                "\nculvert_bench_port=4711\nculvert_bench_mtu=1400\nculvert_bench_seconds=900\n"
                "culvert_bench_rate=5000000\nculvert_bench_address=fd00::7\nerrno=0\n\n");
  std::array<std::byte, key_size> key;
  key.fill(std::byte{1});
  EXPECT_EQ(asked, PublicKey(key));
}

TEST_F(ControlSocketTest, tells_why_there_is_no_benchmark) {
  const auto socket = serve();
  EXPECT_EQ(answer_to(bench_request), "culvert_error=this tunnel is not run from a file\nerrno=95\n\n");
  EXPECT_EQ(answer_to("culvert_bench=1\n\n"), "culvert_error=no peer was named\nerrno=22\n\n");
  socket->on_bench = [](PublicKey) -> boost::asio::awaitable<BenchReply> {
    BenchReply reply;
    reply.error = "it does not like that";
    co_return reply;
  };
  EXPECT_EQ(answer_to(bench_request), "culvert_error=it does not like that\nerrno=22\n\n");
  EXPECT_EQ(answer_to("culvert_bench=1\npublic_key=0\n\n"), "") << "a key that is none";
}

TEST_F(ControlSocketTest, closes_on_nonsense_and_goes_on_with_others) {
  const auto control = serve();
  for (const std::string& nonsense : {std::string("hello\n"), std::string("get=2\n\n"), std::string("get=1\nx=1\n\n"),
                                      std::string("\0\n", 2), std::string("GET / HTTP/1.1\r\n")}) {
    EXPECT_EQ(answer_to(nonsense), "") << nonsense;
  }
  EXPECT_THAT(answer_to(question), EndsWith("errno=0\n\n"));
}

TEST_F(ControlSocketTest, closes_on_a_line_without_end) {
  const auto control = serve();
  Client client(path_);
  const std::string piece(4096, 'x');
  run_until(io_, [&] {
    client.send(piece);
    return client.is_closed();
  });
  EXPECT_EQ(client.text(), "");
  EXPECT_THAT(answer_to(question), EndsWith("errno=0\n\n"));
}

TEST_F(ControlSocketTest, is_not_troubled_by_clients_that_leave_at_any_time) {
  const auto control = serve();
  for (const std::string_view said : {"", "get", "get=1\n\n", "get=1\n\nget=1\n\nget=1\n\n"}) {
    { Client(path_).send(said); }
    run_for(io_, 5ms);
  }
  EXPECT_THAT(answer_to(question), EndsWith("errno=0\n\n"));
}

TEST_F(ControlSocketTest, is_not_held_up_by_a_client_that_does_not_read) {
  const auto control = serve();
  Client slow(path_);
  std::string questions;
  for (int i = 0; i < 1000; ++i) questions += question;
  // Until nothing fits in either direction any more.
  std::size_t quiet_turns = 0;
  run_until(io_, [&] {
    quiet_turns = slow.send(questions) == 0 ? quiet_turns + 1 : 0;
    return quiet_turns > 10;
  });
  EXPECT_THAT(answer_to(question), EndsWith("errno=0\n\n"));
  run_for(io_, 50ms);
  EXPECT_LT(run_for(io_, 100ms), 20u) << "it must not spin";
}

TEST_F(ControlSocketTest, closes_a_client_that_does_not_read_in_time) {
  const auto control = serve(1s);
  Client slow(path_);
  std::string questions;
  for (int i = 0; i < 5000; ++i) questions += question;
  std::size_t sent = 0;
  const auto begin = std::chrono::steady_clock::now();
  while (std::chrono::steady_clock::now() - begin < 2500ms) {
    sent += slow.send(questions);
    run_for(io_, 20ms);
  }
  EXPECT_GT(sent, 0u);
  EXPECT_TRUE(slow.is_closed());
}

TEST_F(ControlSocketTest, closes_a_silent_client_in_time_and_not_before) {
  const auto control = serve(1s);
  Client silent(path_);
  Client half(path_);
  half.send("get=1\n");
  const auto begin = std::chrono::steady_clock::now();
  run_for(io_, 500ms);
  EXPECT_FALSE(silent.is_closed());
  run_until(io_, [&] { return silent.is_closed() && half.is_closed(); });
  EXPECT_GE(std::chrono::steady_clock::now() - begin, 900ms);
  EXPECT_THAT(answer_to(question), EndsWith("errno=0\n\n"));
}

TEST_F(ControlSocketTest, keeps_a_client_that_asks_again_in_time) {
  const auto control = serve(1s);
  Client client(path_);
  for (std::size_t i = 1; i <= 4; ++i) {
    client.send(question);
    run_until(io_, [&] { return client.is_answered(i); });
    run_for(io_, 400ms);
  }
  EXPECT_FALSE(client.is_closed());
}

TEST_F(ControlSocketTest, serves_new_clients_beside_many_silent_ones) {
  const auto control = serve();
  std::vector<std::unique_ptr<Client>> silent;
  for (int i = 0; i < 200; ++i) {
    silent.push_back(std::make_unique<Client>(path_));
    EXPECT_TRUE(silent.back()->is_connected());
    run_for(io_, 1ms);
  }
  EXPECT_THAT(answer_to(question), EndsWith("errno=0\n\n"));
  const auto open = std::ranges::count_if(silent, [](auto& client) { return !client->is_closed(); });
  EXPECT_LE(open, static_cast<long>(ControlSocket::clients_max));
  EXPECT_TRUE(silent.front()->is_closed());
  EXPECT_FALSE(silent.back()->is_closed());
}

TEST_F(ControlSocketTest, lets_nobody_else_in) {
  const auto control = serve();
  struct stat status {};
  ASSERT_EQ(::stat(path_.c_str(), &status), 0);
  EXPECT_TRUE(S_ISSOCK(status.st_mode));
  EXPECT_EQ(status.st_mode & 07777, 0600u);
}

TEST_F(ControlSocketTest, leaves_the_mode_of_files_made_later_alone) {
  const mode_t before = ::umask(0);
  ::umask(before);
  const auto control = serve();
  const mode_t after = ::umask(before);
  EXPECT_EQ(before, after);
}

TEST_F(ControlSocketTest, makes_its_folder) {
  const std::string folder = directory_.file("wireguard");
  const ControlSocket control(io_, device_, "test0", folder);
  EXPECT_TRUE(Client(folder + "/test0.sock").is_connected());
}

TEST_F(ControlSocketTest, says_what_is_wrong_with_its_folder) {
  std::ofstream(directory_.file("file")) << "in the way";
  test::expect_system_error([&] { ControlSocket(io_, device_, "test0", directory_.file("file/below")); },
                            std::errc::not_a_directory, HasSubstr(directory_.file("file/below")));
}

TEST_F(ControlSocketTest, takes_over_what_a_dead_process_left) {
  {
    const UniqueFd dead(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const sockaddr_un here = address_of(path_);
    ASSERT_EQ(::bind(dead.get(), reinterpret_cast<const sockaddr*>(&here), sizeof here), 0);
  }
  const auto control = serve();
  EXPECT_THAT(answer_to(question), EndsWith("errno=0\n\n"));
}

TEST_F(ControlSocketTest, refuses_what_a_living_process_has_and_leaves_it_there) {
  const auto control = serve();
  test::expect_system_error([&] { (void)serve(); }, std::errc::address_in_use, HasSubstr(path_));
  EXPECT_THAT(answer_to(question), EndsWith("errno=0\n\n"));
}

TEST_F(ControlSocketTest, does_not_wait_for_a_living_process_that_accepts_nobody) {
  const UniqueFd busy(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un here = address_of(path_);
  ASSERT_EQ(::bind(busy.get(), reinterpret_cast<const sockaddr*>(&here), sizeof here), 0);
  ASSERT_EQ(::listen(busy.get(), 0), 0);
  const Client first(path_);
  const Client second(path_);
  test::expect_system_error([&] { (void)serve(); }, std::errc::address_in_use, HasSubstr(path_));
}

TEST_F(ControlSocketTest, removes_its_file_at_the_end) {
  { const auto control = serve(); }
  EXPECT_NE(::access(path_.c_str(), F_OK), 0);
}

TEST_F(ControlSocketTest, removes_no_file_but_its_own) {
  {
    const auto control = serve();
    ::unlink(path_.c_str());
    std::ofstream(path_) << "somebody else's";
  }
  EXPECT_EQ(::access(path_.c_str(), F_OK), 0);
}

TEST_F(ControlSocketTest, tells_once_when_its_file_is_removed) {
  const auto control = serve();
  int told = 0;
  control->watch_file([&] { ++told; });
  std::ofstream(directory_.file("other")) << "";
  ::unlink(directory_.file("other").c_str());
  run_for(io_, 50ms);
  EXPECT_EQ(told, 0);
  ::unlink(path_.c_str());
  run_until(io_, [&] { return told > 0; });
  ::unlink(directory_.file("other").c_str());
  run_for(io_, 50ms);
  EXPECT_EQ(told, 1);
}

TEST_F(ControlSocketTest, serves_on_a_socket_it_was_given_and_leaves_its_file_alone) {
  UniqueFd listening(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const sockaddr_un here = address_of(path_);
  ASSERT_EQ(::bind(listening.get(), reinterpret_cast<const sockaddr*>(&here), sizeof here), 0);
  ASSERT_EQ(::listen(listening.get(), 5), 0);
  {
    const ControlSocket control(io_, device_, std::move(listening));
    EXPECT_THAT(answer_to(question), EndsWith("errno=0\n\n"));
  }
  EXPECT_EQ(::access(path_.c_str(), F_OK), 0);
}

}  // namespace
}  // namespace culvert
