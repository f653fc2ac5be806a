// The netlink headers of each kind of NetworkObject, and access to its parts.
#pragma once

#include <linux/fib_rules.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "culvert/io/network_object.hpp"

namespace culvert {

inline std::size_t header_size(NetworkObject::Kind kind) {
  switch (kind) {
    case NetworkObject::Kind::Address:
      return sizeof(ifaddrmsg);
    case NetworkObject::Kind::Neighbour:
      return sizeof(ndmsg);
    case NetworkObject::Kind::Rule:
      return sizeof(fib_rule_hdr);
    case NetworkObject::Kind::Route:
      break;
  }
  return sizeof(rtmsg);
}

template <class Header>
Header header_of(const NetworkObject& object) {
  Header header{};
  std::memcpy(&header, object.header.data(), std::min(sizeof header, object.header.size()));
  return header;
}

template <class Header>
void set_header(NetworkObject& object, const Header& header) {
  object.header.resize(sizeof header);
  std::memcpy(object.header.data(), &header, sizeof header);
}

inline NetworkObject::Attribute* find(NetworkObject& object, unsigned type) {
  const auto found = std::ranges::find(object.attributes, type, &NetworkObject::Attribute::type);
  return found == object.attributes.end() ? nullptr : &*found;
}

inline const NetworkObject::Attribute* find(const NetworkObject& object, unsigned type) {
  const auto found = std::ranges::find(object.attributes, type, &NetworkObject::Attribute::type);
  return found == object.attributes.end() ? nullptr : &*found;
}

/// The value of an attribute that is a plain value in host order; nothing if it is missing or too short.
template <class Value>
std::optional<Value> value_of(const NetworkObject& object, unsigned type) {
  const NetworkObject::Attribute* const attribute = find(object, type);
  if (attribute == nullptr || attribute->value.size() < sizeof(Value)) return std::nullopt;
  Value value{};
  std::memcpy(&value, attribute->value.data(), sizeof value);
  return value;
}

template <class Value>
void set_value(NetworkObject& object, unsigned type, const Value& value) {
  NetworkObject::Attribute* attribute = find(object, type);
  if (attribute == nullptr) {
    object.attributes.push_back({static_cast<std::uint16_t>(type), {}});
    attribute = &object.attributes.back();
  }
  attribute->value.resize(sizeof value);
  std::memcpy(attribute->value.data(), &value, sizeof value);
}

inline void erase(NetworkObject& object, unsigned type) {
  std::erase_if(object.attributes, [&](const NetworkObject::Attribute& attribute) { return attribute.type == type; });
}

}  // namespace culvert
