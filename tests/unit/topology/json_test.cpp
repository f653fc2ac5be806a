// The fields of the JSON.
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "culvert/topology/render.hpp"
#include "scenes.hpp"

namespace culvert::topology::test {
namespace {

namespace json = boost::json;

const json::value& link_of(const json::value& topology, std::size_t space, std::size_t number) {
  return topology.at("namespaces").at(space).at("links").at(number);
}

TEST(Json, tells_a_port_and_its_other_end) {
  Scene scene;
  const std::size_t host = scene.space("host");
  const std::size_t blue = scene.space("blue");
  const std::uint32_t bridge = scene.link(host, "br0", "bridge").index;
  scene.veth(host, "to-blue", bridge, blue, "eth0", {"10.0.0.2/24"});
  const json::value topology = json::parse(to_json(scene.joined()));
  EXPECT_EQ(json::serialize(link_of(topology, 0, 2)),
            R"({"index":3,"name":"to-blue","kind":"veth","state":"UP","up":true,"mtu":1500,"mac":"02:00:00:00:00:03",)"
            R"("addresses":[],"detail":null,"master":2,"port_state":"forwarding",)"
            R"("peer":{"namespace":4026531841,"index":2,"name":"eth0"},"parent":null,"holders":[],"tunnel":null})");
  EXPECT_EQ(json::serialize(topology.at("edges")),
            R"([{"kind":"veth","from":{"namespace":4026531840,"index":3,"name":"to-blue"},)"
            R"("to":{"namespace":4026531841,"index":2,"name":"eth0"}},)"
            R"({"kind":"port","from":{"namespace":4026531840,"index":3,"name":"to-blue"},)"
            R"("to":{"namespace":4026531840,"index":2,"name":"br0"}}])");
}

TEST(Json, tells_a_namespace_and_why_it_is_closed) {
  const json::value topology = json::parse(to_json(large()));
  const json::value& closed = topology.at("namespaces").at(9);
  EXPECT_EQ(json::serialize(closed),
            R"({"inode":4026531849,"own":false,"names":[],"pins":[],"foreign_pins":[],"process_count":1,)"
            R"("processes":[{"pid":8000,"name":"rootless"}],"keepers":[],)"
            R"x("problem":"cannot be entered: Operation not permitted (this needs root)","links":[]})x");
  EXPECT_EQ(topology.at("namespaces").at(0).at("own"), true);
  EXPECT_EQ(topology.at("namespaces").at(7).at("pins").at(0), "/var/lib/machines/builder/run/netns-pin");
}

TEST(Json, tells_a_tunnel_and_its_peers) {
  const json::value topology = json::parse(to_json(large()));
  EXPECT_EQ(json::serialize(link_of(topology, 4, 2).at("tunnel")),
            R"({"program":"culvert","public_key":"BLUEKEY","listen_port":51820,"socket_namespace":4026531841,"peers":[)"
            R"({"name":"red","public_key":"REDKEY","endpoint":"10.4.0.2:51820","handshake_age":42,)"
            R"("allowed_ips":["10.9.0.0/24"],"device":{"namespace":4026531845,"index":3,"name":"wg-red"}},)"
            R"({"name":null,"public_key":"b2ZmaWNlLWtleS13aXRob3V0LW5hbWU=","endpoint":"203.0.113.99:51820",)"
            R"("handshake_age":42,"allowed_ips":["10.9.0.0/24"],"device":null}]})");
}

TEST(Json, tells_what_a_link_is_made_on_and_what_was_not_found) {
  const json::value topology = json::parse(to_json(large()));
  EXPECT_EQ(json::serialize(link_of(topology, 1, 2).at("parent")),
            R"({"namespace":4026531840,"index":2,"name":"enp0s31f6"})");
  EXPECT_EQ(json::serialize(link_of(topology, 2, 3).at("peer")), R"({"namespace":null,"index":9,"name":null})");
}

TEST(Json, stays_json_whatever_things_are_called) {
  Scene scene;
  const std::size_t host = scene.space("\"\\\n\xff");
  scene.link(host, "\xc3\x28", "tap");
  EXPECT_EQ(json::parse(to_json(scene.joined())).at("namespaces").at(0).at("names").at(0), "\"\\\\x0a\\xff");
}

}  // namespace
}  // namespace culvert::topology::test
