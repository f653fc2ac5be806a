// Moves datagrams, frames and time between engines, and watches.
#include "sim/world.hpp"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include "culvert/crypto/initialize.hpp"
#include "support/packet_builder.hpp"

namespace culvert::sim {

namespace {

Endpoint v4_place(std::uint32_t number) {
  std::array<std::byte, 4> bytes{};
  store<Be32>(bytes.data(), 0x0a640000 + number);
  return {Address::from_bytes(Family::V4, bytes), 51820, 0};
}

Endpoint v6_place(std::uint32_t number) {
  std::array<std::byte, 16> bytes{std::byte{0x20}, std::byte{0x01}, std::byte{0x0d}, std::byte{0xb8}};
  store<Be32>(&bytes[4], number);
  return {Address::from_bytes(Family::V6, bytes), 51820, 0};
}

Address inner_address(Family family, HostId id) {
  std::array<std::byte, 16> bytes{family == Family::V4 ? std::byte{10} : std::byte{0xfd}};
  store<Be16>(&bytes[family == Family::V4 ? 2 : 14], static_cast<std::uint16_t>(id + 1));
  return Address::from_bytes(family, bytes);
}

}  // namespace

std::uint64_t seed_or(std::uint64_t standard) {
  const char* text = std::getenv("CULVERT_SEED");
  return text ? std::strtoull(text, nullptr, 0) : standard;
}

bool is_single_seed() {
  return std::getenv("CULVERT_SEED") != nullptr;
}

Host::Host(HostId host, std::uint64_t seed)
    : id(host),
      random((initialize_crypto(), seed)),
      secret(generate_secret_key(random)),
      public_key(public_key_of(secret)),
      inner_v4(inner_address(Family::V4, id)),
      inner_v6(inner_address(Family::V6, id)) {}

World::World(std::uint64_t seed) : network(seed ^ 0x6e6574), dice(seed ^ 0x64696365), seed_(seed) {}

HostId World::add_host() {
  const HostId id = hosts_.size();
  Host& host = hosts_.emplace_back(id, seed_ * 1000 + id);
  host.v4 = v4_place(next_place_);
  host.v6 = v6_place(next_place_++);
  start_engine(host);
  return id;
}

void World::start_engine(Host& host) {
  host.engine = std::make_unique<Engine>(host.random, host.mtu);
  host.rules = {};
  host.engine->set_private_key(host.secret.clone());
  host.engine->set_cipher(host.cipher);
  for (const PeerConfig& config : host.peers) apply(host, config);
}

void World::apply(Host& host, const PeerConfig& config) {
  const Host& other = hosts_[config.other];
  Engine& engine = *host.engine;
  const PeerId id = engine.ensure_peer(other.public_key)->id;
  engine.add_allowed_ip(id, {other.inner_v4, 32});
  engine.add_allowed_ip(id, {other.inner_v6, 128});
  if (config.endpoint) engine.set_endpoint(id, *config.endpoint);
  PresharedKey psk;
  std::fill(psk.writable_bytes().begin(), psk.writable_bytes().end(), config.psk);
  engine.set_preshared_key(id, std::move(psk));
  engine.set_persistent_keepalive(id, config.keepalive, now(host.id));
}

void World::introduce(HostId a, HostId b, std::chrono::seconds keepalive_of_a) {
  const auto add = [this](HostId here, HostId there, std::chrono::seconds keepalive) {
    std::optional<Endpoint> endpoint;
    if (!hosts_[there].nat) endpoint = hosts_[there].v4;
    hosts_[here].peers.push_back({there, endpoint, keepalive, {}});
    apply(hosts_[here], hosts_[here].peers.back());
  };
  add(a, b, keepalive_of_a);
  add(b, a, std::chrono::seconds(0));
}

void World::restart(HostId id, bool remembers_timestamp) {
  Host& host = hosts_[id];
  const Tai64n last = host.engine->last_timestamp();
  start_engine(host);
  if (remembers_timestamp) host.engine->restore_timestamp(last);
}

Nat& World::put_behind_nat(HostId id, Duration idle_timeout) {
  Nat& nat = nats_.emplace_back(v4_place(next_place_++).address, idle_timeout);
  hosts_[id].nat = &nat;
  return nat;
}

void World::move(HostId id) {
  hosts_[id].v4 = v4_place(next_place_);
  hosts_[id].v6 = v6_place(next_place_++);
}

void World::set_preshared_key(HostId a, HostId b, std::byte fill) {
  for (const auto& [here, there] : {std::pair(a, b), std::pair(b, a)}) {
    for (PeerConfig& config : hosts_[here].peers) {
      if (config.other == there) config.psk = fill;
    }
    PresharedKey psk;
    std::fill(psk.writable_bytes().begin(), psk.writable_bytes().end(), fill);
    hosts_[here].engine->set_preshared_key(hosts_[here].peer(hosts_[there]).id, std::move(psk));
  }
}

std::uint64_t World::send(HostId from, HostId to, std::size_t size) {
  const std::uint64_t number = sent_frames_.size();
  const bool is_v4 = number % 2 == 0;
  const Host& receiver = hosts_[to];
  Host& sender = hosts_[from];
  const PacketBuilder builder{is_v4 ? sender.inner_v4 : sender.inner_v6, is_v4 ? receiver.inner_v4 : receiver.inner_v6,
                              static_cast<std::uint8_t>(number % 3)};
  Bytes payload(std::max(size, builder.header_size() + 16) - builder.header_size() - 8);
  store<Le64>(payload.data(), number);
  for (std::size_t i = 8; i < payload.size(); ++i) payload[i] = static_cast<std::byte>(number * 31 + i * 7);
  sent_frames_.push_back({from, to, builder.udp(payload), false});
  sender.rules.frame_begins(*sender.engine);
  sender.engine->on_frame(sent_frames_.back().bytes, now(from), sender.out);
  collect(sender);
  return number;
}

void World::inject(const Endpoint& source, HostId to, Bytes datagram) {
  if (!host_at(source)) strangers[source].from_stranger += datagram.size();
  Host& host = hosts_[to];
  give(host, Path{source, source.address.is_v4() ? host.v4.address : host.v6.address, 1}, 0, std::move(datagram));
}

void World::run_until(Timestamp end) {
  Timestamp last_time{};
  int idle_rounds = 0;
  for (;;) {
    Timestamp next = end;
    if (const auto arrival = network.next_arrival()) next = std::min(next, *arrival);
    if (const auto deadline = next_deadline()) next = std::min(next, *deadline);
    if (!actions_.empty()) next = std::min(next, actions_.begin()->first);
    clock.advance_to(next);
    bool did_something = false;

    while (!actions_.empty() && actions_.begin()->first <= clock.time()) {
      const auto action = std::move(actions_.begin()->second);
      actions_.erase(actions_.begin());
      action();
      did_something = true;
    }
    if (const auto arrival = network.next_arrival(); arrival && *arrival <= clock.time()) {
      arrive(network.take_next());
      did_something = true;
    }
    for (Host& host : hosts_) {
      const auto deadline = host.engine->next_deadline();
      if (!deadline || *deadline > clock.time()) continue;
      host.rules.deadline_begins(*host.engine);
      host.engine->on_deadline(now(host.id), host.out);
      collect(host);
      did_something = true;
      const auto following = host.engine->next_deadline();
      if (following && *following <= clock.time()) fail("an engine is not done with what was due");
    }
    if (!did_something && clock.time() >= end) {
      for (const Host& host : hosts_) Rules::check_ages(*host.engine, clock.time(), fail_);
      return;
    }
    idle_rounds = clock.time() == last_time ? idle_rounds + 1 : 0;
    last_time = clock.time();
    if (idle_rounds > 100'000) fail("time stands still");
  }
}

std::optional<Timestamp> World::next_deadline() const {
  std::optional<Timestamp> earliest;
  for (const Host& host : hosts_) {
    const auto deadline = host.engine->next_deadline();
    if (deadline && (!earliest || *deadline < *earliest)) earliest = deadline;
  }
  return earliest;
}

Host* World::host_at(const Endpoint& endpoint) {
  const auto found = std::find_if(hosts_.begin(), hosts_.end(), [&](const Host& host) {
    return host.nat ? endpoint.address == host.nat->address() : endpoint == host.v4 || endpoint == host.v6;
  });
  return found == hosts_.end() ? nullptr : &*found;
}

void World::arrive(const Flight& flight) {
  for (Host& host : hosts_) {
    if (host.nat && flight.to.address == host.nat->address()) {
      const auto inside = host.nat->inward(flight.to, clock.time());
      if (!inside || *inside != host.v4) return;
      return give(host, Path{flight.from, host.v4.address, 1}, flight.traffic_class, flight.bytes);
    }
  }
  if (Host* host = host_at(flight.to)) {
    give(*host, Path{flight.from, flight.to.address, 1}, flight.traffic_class, flight.bytes);
  }
}

void World::give(Host& host, const Path& path, std::uint8_t traffic_class, Bytes bytes) {
  host.rules.datagram_begins(*host.engine, path.remote, bytes, archive_, clock.time());
  host.engine->on_datagram(path, traffic_class, bytes, now(host.id), host.frames, host.out);
  collect(host);
}

void World::collect(Host& host) {
  host.rules.end(
      *host.engine, host.out.sent, clock.time(),
      [this](HostId id) -> const PublicKey& { return hosts_[id].public_key; }, fail_);
  for (SentDatagram& datagram : host.out.take()) {
    const std::size_t type = std::to_integer<std::size_t>(datagram.bytes.at(0));
    ++host.sent_by_type[type];
    host.sent_bytes += datagram.bytes.size();
    const bool is_data = type == 4 || type == std::size_t(MessageType::DataAes256Gcm);
    if (is_data && datagram.bytes.size() == 32) ++host.keepalives_sent;
    if (type == 1) host.initiations.push_back(clock.time());
    if (datagram.bytes.size() > limits::data_overhead + host.mtu && is_data) fail("padded beyond the MTU");
    put_on_wire(host, std::move(datagram));
  }
  for (const Bytes& frame : host.frames.take()) check_frame(host, frame);
  while (const auto event = host.engine->poll_event()) {
    ++host.events[event->kind];
    if (event->kind == EventKind::InitiationSent) host.rules.initiation_sent(event->peer, clock.time(), fail_);
  }
}

void World::put_on_wire(Host& host, SentDatagram&& datagram) {
  archive_.add(datagram.bytes, host.id);
  const Endpoint& to = datagram.path.remote;
  Endpoint source = to.address.is_v4() ? host.v4 : host.v6;
  if (host.nat) {
    if (!to.address.is_v4()) return;  // this NAT knows IPv4 only
    source = host.nat->outward(source, clock.time());
  }
  if (!host_at(to)) strangers[to].to_stranger += datagram.bytes.size();
  if (on_wire) on_wire(host, source, datagram);
  network.send(source, to, datagram.traffic_class, std::move(datagram.bytes), clock.time());
}

void World::send_unchecked(HostId from, HostId to, ByteView packet) {
  Host& sender = hosts_[from];
  const Peer& peer = sender.peer(hosts_[to]);
  auto* session = const_cast<Session*>(peer.sessions.current());  // NOLINT: that is the ill will
  if (!session || !peer.path || !session->can_seal(clock.time())) return;
  SentDatagram datagram{.path = *peer.path, .bytes = Bytes(Session::sealed_size(packet.size(), sender.mtu))};
  session->seal(packet, datagram.bytes);
  put_on_wire(sender, std::move(datagram));
}

void World::check_frame(const Host& host, const Bytes& frame) {
  ++hosts_[host.id].frames_received;
  const std::size_t headers = std::to_integer<unsigned>(frame.at(0)) >> 4 == 4 ? 28 : 48;
  if (frame.size() < headers + 8) fail("a frame was delivered that nobody sent");
  const std::uint64_t number = load<Le64>(&frame[headers]);
  if (number >= sent_frames_.size()) fail("a frame was delivered that nobody sent");
  SentFrame& sent = sent_frames_[number];
  if (sent.to != host.id) fail("a frame was delivered to the wrong host");
  if (sent.bytes != frame) fail("a frame was delivered that differs from what was sent");
  if (sent.was_delivered) fail("a frame was delivered twice");
  sent.was_delivered = true;
  ++frames_delivered_;
}

void World::fail(const std::string& what) const {
  throw std::logic_error(what + " (CULVERT_SEED=" + std::to_string(seed_) + ")");
}

}  // namespace culvert::sim
