// SPDX-License-Identifier: Apache-2.0
#include "state_file.h"

#include <fmt/format.h>

#include <cerrno>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "ipvlanx/base/files.h"

namespace ipvlanx {

namespace {

using nlohmann::json;

constexpr int kVersion = 1;

json to_json(const State& state) {
  json ports = json::array();
  for (const auto& [master, port] : state.ports()) {
    ports.push_back({{"master", port.name.str()},
                     {"ifindex", number(master)},
                     {"mode", to_string(port.mode)},
                     {"flag", to_string(port.flag)},
                     {"mac", to_string(port.mac)},
                     {"mtu", port.mtu},
                     {"carrier", port.carrier},
                     {"strict_private", port.strict_private},
                     {"announce", port.announce},
                     {"kept", port.kept}});
  }
  json slaves = json::array();
  for (const auto& [id, slave] : state.slaves()) {
    json addresses = json::array();
    for (const Address& address : slave.addresses) {
      if (address.origin == Origin::api) addresses.push_back(to_string(address.prefix));
    }
    slaves.push_back({{"id", number(id)},
                      {"master", number(slave.master)},
                      {"slot", slave.slot},
                      {"addr_policy", to_string(slave.addr_policy)},
                      {"max_addresses", slave.max_addresses},
                      {"addresses", addresses}});
  }
  return {{"version", kVersion}, {"last_id", number(state.last_id())}, {"ports", ports}, {"slaves", slaves}};
}

// The model's own parsers judge the words; a bad one ends the reading.
template <class T>
T must(Result<T> parsed) {
  if (!parsed) throw std::invalid_argument(parsed.error().message);
  return *std::move(parsed);
}

SavedState from_json(const json& document) {
  if (document.at("version") != kVersion) {
    throw std::invalid_argument(
        fmt::format("version {}, this build knows {}", document.at("version").dump(), kVersion));
  }
  SavedState state{.last_id = SlaveId{document.at("last_id").get<std::uint32_t>()}};
  for (const json& port : document.at("ports")) {
    state.ports.push_back({.master = IfIndex{port.at("ifindex").get<std::uint32_t>()},
                           .name = must(IfName::parse(port.at("master").get<std::string>())),
                           .mode = must(parse_mode(port.at("mode").get<std::string>())),
                           .flag = must(parse_flag(port.at("flag").get<std::string>())),
                           .mac = must(parse_mac(port.value("mac", "00:00:00:00:00:00"))),
                           .mtu = port.value("mtu", 0U),
                           .carrier = port.value("carrier", true),
                           .strict_private = port.at("strict_private").get<bool>(),
                           .announce = port.value("announce", true),
                           .kept = port.at("kept").get<bool>()});
  }
  for (const json& slave : document.at("slaves")) {
    SavedSlave saved{.id = SlaveId{slave.at("id").get<std::uint32_t>()},
                     .master = IfIndex{slave.at("master").get<std::uint32_t>()},
                     .slot = slave.at("slot").get<std::uint32_t>(),
                     .addr_policy = must(parse_addr_policy(slave.at("addr_policy").get<std::string>())),
                     .max_addresses = slave.at("max_addresses").get<std::uint32_t>()};
    for (const json& address : slave.at("addresses")) {
      saved.addresses.push_back(must(Prefix::parse(address.get<std::string>())));
    }
    state.slaves.push_back(std::move(saved));
  }
  return state;
}

}  // namespace

Result<SavedState> read_state(const std::string& path) {
  std::ifstream file{path};
  if (!file) {
    if (errno == ENOENT) return SavedState{};
    return kernel_error(path, errno);
  }
  std::stringstream text;
  text << file.rdbuf();
  try {
    return from_json(json::parse(text.str()));
  } catch (const std::exception& error) {
    return fail(Errc::bad_json, fmt::format("{}: {}", path, error.what()));
  }
}

Result<void> write_state(const std::string& path, const State& state) {
  auto done = replace_file(path, to_json(state).dump(1) + "\n");
  if (done) return done;
  return std::unexpected(std::move(done.error()).within(path));
}

}  // namespace ipvlanx
