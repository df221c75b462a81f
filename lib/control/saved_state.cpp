// SPDX-License-Identifier: Apache-2.0
#include "saved_state.h"

#include <fmt/format.h>

#include <limits>
#include <nlohmann/json.hpp>

#include "ipvlanx/base/number.h"
#include "ipvlanx/base/overloaded.h"

namespace ipvlanx {

namespace {

using nlohmann::json;

constexpr int kVersion = 2;

// ------------------------------------------------------------------------ to JSON

// A tenant may name its interface in bytes that are no UTF-8, which JSON cannot hold.
std::string encoded(std::string_view name) {
  std::string text;
  for (const char c : name) {
    const auto byte = static_cast<unsigned char>(c);
    text += byte < 0x80 && c != '%' ? std::string(1, c) : fmt::format("%{:02x}", byte);
  }
  return text;
}

json to_json(const std::vector<Prefix>& prefixes) {
  json list = json::array();
  for (const Prefix& prefix : prefixes) list.push_back(to_string(prefix));
  return list;
}

json to_json(const SavedPort& port) {
  return {{"master", encoded(port.name.str())},
          {"ifindex", number(port.master)},
          {"mode", to_string(port.mode)},
          {"flag", to_string(port.flag)},
          {"mac", to_string(port.mac)},
          {"mtu", port.mtu},
          {"carrier", port.carrier},
          {"strict_private", port.strict_private},
          {"announce", port.announce},
          {"xdp", to_string(port.xdp)},
          {"kept", port.kept}};
}

json to_json(const SavedSlave& slave) {
  json object{{"id", number(slave.id)},
              {"master", number(slave.master)},
              {"name", encoded(slave.name.str())},
              {"mtu", slave.mtu},
              {"up", slave.up},
              {"slot", slave.slot},
              {"via", to_string(slave.via)},
              {"addr_policy", to_string(slave.addr_policy)},
              {"max_addresses", slave.max_addresses},
              {"addresses", to_json(slave.addresses)}};
  if (!slave.place.in_host) {
    object["netns"] = slave.place.netns.empty() ? json(nullptr) : json(encoded(slave.place.netns));
  }
  if (!slave.owner.empty()) object["owner"] = slave.owner;
  if (!slave.held.empty()) object["held"] = to_json(slave.held);
  return object;
}

json to_json(const Record& record) {
  return std::visit(Overloaded{
                        [](const SavedPort& port) { return json{{"port", to_json(port)}}; },
                        [](const SavedSlave& slave) { return json{{"slave", to_json(slave)}}; },
                        [](const DropPort& drop) { return json{{"drop_port", number(drop.master)}}; },
                        [](const DropSlave& drop) { return json{{"drop_slave", number(drop.id)}}; },
                    },
                    record);
}

// ---------------------------------------------------------------------- from JSON
// What is wrong ends the reading by an exception, which does not leave this file.

[[noreturn]] void damaged(const std::string& why) {
  throw std::invalid_argument(why);
}

// The model's own parsers judge the words.
template <class T>
T must(Result<T> parsed) {
  if (!parsed) damaged(parsed.error().message);
  return *std::move(parsed);
}

// Not get<>(): that takes -1, 1.5 and true for numbers, too.
template <class T>
T number_in(const json& value) {
  if (!value.is_number_unsigned() || value.get<std::uint64_t>() > std::numeric_limits<T>::max()) {
    damaged(fmt::format("{} where a number should be", value.dump()));
  }
  return value.get<T>();
}

std::uint32_t number_at(const json& object, const char* field) {
  return number_in<std::uint32_t>(object.at(field));
}

SlaveId slave_id(const json& value) {
  const auto id = number_in<std::uint32_t>(value);
  if (id < 1 || id > kMaxSlaveId) damaged(fmt::format("{} is no slave's id", id));
  return SlaveId{id};
}

std::string text_at(const json& object, const char* field) {
  return object.at(field).get<std::string>();
}

std::string decoded(const std::string& text) {
  std::string name;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      name += text[i];
      continue;
    }
    const std::string_view digits = std::string_view{text}.substr(i + 1, 2);
    const auto byte = whole_number<unsigned char>(digits, 16);
    if (!byte || digits.size() != 2) damaged(fmt::format("a name '{}'", text));
    name += static_cast<char>(*byte);
    i += 2;
  }
  return name;
}

IfName name_at(const json& object, const char* field) {
  return must(IfName::parse(decoded(text_at(object, field))));
}

bool flag_at(const json& object, const char* field) {
  return object.at(field).get<bool>();
}

std::vector<Prefix> prefixes(const json& list) {
  std::vector<Prefix> prefixes;
  for (const json& text : list) prefixes.push_back(must(Prefix::parse(text.get<std::string>())));
  return prefixes;
}

SavedPort port_from(const json& port) {
  return {.master = IfIndex{number_at(port, "ifindex")},
          .name = name_at(port, "master"),
          .mode = must(parse_mode(text_at(port, "mode"))),
          .flag = must(parse_flag(text_at(port, "flag"))),
          .mac = must(parse_mac(text_at(port, "mac"))),
          .mtu = number_at(port, "mtu"),
          .carrier = flag_at(port, "carrier"),
          .strict_private = flag_at(port, "strict_private"),
          .announce = flag_at(port, "announce"),
          .xdp = must(parse_xdp(text_at(port, "xdp"))),
          .kept = flag_at(port, "kept")};
}

SavedSlave slave_from(const json& slave) {
  SavedSlave saved{.id = slave_id(slave.at("id")),
                   .master = IfIndex{number_at(slave, "master")},
                   .name = name_at(slave, "name"),
                   .mtu = number_at(slave, "mtu"),
                   .up = flag_at(slave, "up"),
                   .slot = number_at(slave, "slot"),
                   .via = must(parse_via(text_at(slave, "via"))),
                   .addr_policy = must(parse_addr_policy(text_at(slave, "addr_policy"))),
                   .max_addresses = number_at(slave, "max_addresses"),
                   .addresses = prefixes(slave.at("addresses"))};
  if (const auto netns = slave.find("netns"); netns != slave.end()) {
    saved.place = {.in_host = false, .netns = netns->is_null() ? "" : decoded(netns->get<std::string>())};
  }
  if (slave.contains("owner")) saved.owner = text_at(slave, "owner");
  if (const auto held = slave.find("held"); held != slave.end()) saved.held = prefixes(*held);
  return saved;
}

Record record_from(const json& record) {
  if (!record.is_object() || record.size() != 1) damaged("a record that is not one");
  const std::string& kind = record.begin().key();
  const json& value = record.begin().value();
  if (kind == "port") return port_from(value);
  if (kind == "slave") return slave_from(value);
  if (kind == "drop_port") return DropPort{IfIndex{number_in<std::uint32_t>(value)}};
  if (kind == "drop_slave") return DropSlave{slave_id(value)};
  damaged(fmt::format("a record of unknown kind '{}'", kind));
}

SavedState state_from(const json& document) {
  if (document.at("version") != kVersion) {
    damaged(fmt::format("version {}, this build knows {}", document.at("version").dump(), kVersion));
  }
  SavedState state{.boot = text_at(document, "boot"),
                   .journal = number_in<std::uint64_t>(document.at("journal"))};
  for (const json& object : document.at("ports")) {
    SavedPort port = port_from(object);
    const std::string name = port.name.str();
    if (!state.ports.emplace(port.master, std::move(port)).second) {
      damaged(fmt::format("port '{}' is there twice", name));
    }
  }
  std::set<SlaveId> ids;
  std::set<std::pair<IfIndex, std::uint32_t>> slots;
  const auto once = [&](const SavedSlave& slave) {
    if (!ids.insert(slave.id).second) damaged(fmt::format("slave {} is there twice", number(slave.id)));
  };
  for (const json& object : document.at("slaves")) {
    const SavedSlave slave = slave_from(object);
    once(slave);
    if (!state.ports.contains(slave.master)) {
      damaged(fmt::format("slave {} is on no port", number(slave.id)));
    }
    if (!slots.emplace(slave.master, slave.slot).second) {
      damaged(fmt::format("slave {} has another one's slot", number(slave.id)));
    }
    state.slaves.emplace(slave.id, slave);
  }
  for (const json& object : document.at("waiting")) {
    WaitingPort port{.port = port_from(object.at("port"))};
    for (const json& slave : object.at("slaves")) {
      port.slaves.push_back(slave_from(slave));
      once(port.slaves.back());
    }
    state.waiting.push_back(std::move(port));
  }
  const auto last_id = number_at(document, "last_id");
  if (last_id > kMaxSlaveId) damaged(fmt::format("{} is no slave's id", last_id));
  state.last_id = SlaveId{last_id};
  return state;
}

template <class F>
auto caught(F read) -> Result<decltype(read())> {
  try {
    return read();
  } catch (const std::exception& error) {
    return fail(Errc::bad_json, error.what());
  }
}

}  // namespace

std::string to_text(const SavedState& state) {
  json ports = json::array();
  for (const auto& [master, port] : state.ports) ports.push_back(to_json(port));
  json slaves = json::array();
  for (const auto& [id, slave] : state.slaves) slaves.push_back(to_json(slave));
  json waiting = json::array();
  for (const WaitingPort& one : state.waiting) {
    json list = json::array();
    for (const SavedSlave& slave : one.slaves) list.push_back(to_json(slave));
    waiting.push_back({{"port", to_json(one.port)}, {"slaves", std::move(list)}});
  }
  const json document{{"version", kVersion},          {"boot", state.boot},
                      {"journal", state.journal},     {"last_id", number(state.last_id)},
                      {"ports", std::move(ports)},    {"slaves", std::move(slaves)},
                      {"waiting", std::move(waiting)}};
  return document.dump(1) + "\n";
}

Result<SavedState> parse_state(std::string_view text) {
  return caught([&] { return state_from(json::parse(text)); });
}

std::string header_line(std::uint64_t journal) {
  return json{{"journal", journal}}.dump();
}

std::string record_line(const std::vector<Record>& records) {
  json list = json::array();
  for (const Record& record : records) list.push_back(to_json(record));
  return json{{"changes", std::move(list)}}.dump();
}

Result<std::uint64_t> parse_header(std::string_view line) {
  return caught([&] { return number_in<std::uint64_t>(json::parse(line).at("journal")); });
}

Result<std::vector<Record>> parse_records(std::string_view line) {
  return caught([&] {
    const json document = json::parse(line);
    std::vector<Record> records;
    for (const json& record : document.at("changes")) records.push_back(record_from(record));
    return records;
  });
}

SavedPort saved(const Port& port) {
  return {.master = port.master,
          .name = port.name,
          .mode = port.mode,
          .flag = port.flag,
          .mac = port.mac,
          .mtu = port.mtu,
          .carrier = port.carrier,
          .strict_private = port.strict_private,
          .announce = port.announce,
          .xdp = port.xdp,
          .kept = port.kept};
}

SavedSlave saved(const Slave& slave, SavedPlace place) {
  SavedSlave saved{.id = slave.id,
                   .master = slave.master,
                   .name = slave.name,
                   .place = std::move(place),
                   .mtu = slave.mtu,
                   .up = slave.up,
                   .slot = slave.slot,
                   .via = slave.via,
                   .addr_policy = slave.addr_policy,
                   .max_addresses = slave.max_addresses,
                   .owner = slave.owner};
  for (const Address& address : slave.addresses) {
    if (address.origin == Origin::api) {
      saved.addresses.push_back(address.prefix);
    } else if (slave.addr_policy == AddrPolicy::static_) {
      saved.held.push_back(address.prefix);
    }
  }
  return saved;
}

bool SavedState::is_news(const Record& record) const {
  return std::visit(Overloaded{
                        [&](const SavedPort& port) {
                          const auto known = ports.find(port.master);
                          return known == ports.end() || known->second != port;
                        },
                        [&](const SavedSlave& slave) {
                          const auto known = slaves.find(slave.id);
                          return known == slaves.end() || known->second != slave;
                        },
                        [&](const DropPort& drop) { return ports.contains(drop.master); },
                        [&](const DropSlave& drop) { return slaves.contains(drop.id); },
                    },
                    record);
}

// As State::put() does with last_id.
void SavedState::apply(const Record& record) {
  std::visit(Overloaded{
                 [&](const SavedPort& port) { ports.insert_or_assign(port.master, port); },
                 [&](const SavedSlave& slave) {
                   if (slaves.insert_or_assign(slave.id, slave).second) last_id = slave.id;
                 },
                 [&](const DropPort& drop) { ports.erase(drop.master); },
                 [&](const DropSlave& drop) { slaves.erase(drop.id); },
             },
             record);
}

std::set<SlaveId> SavedState::waiting_ids() const {
  std::set<SlaveId> ids;
  for (const WaitingPort& one : waiting) {
    for (const SavedSlave& slave : one.slaves) ids.insert(slave.id);
  }
  return ids;
}

}  // namespace ipvlanx
