// SPDX-License-Identifier: Apache-2.0
#include "ipvlanx/api/document.h"

#include "ipvlanx/api/json_object.h"
#include "request_fields.h"

namespace ipvlanx::api {

namespace {

using Json = nlohmann::ordered_json;

constexpr Range kVersion{1, 1};

std::optional<WantedPort> read_port(JsonObject& in) {
  const auto master = in.required<IfName>("master");
  const PortChange options = read_port_options(in);
  if (!master) return std::nullopt;
  return WantedPort{*master, options};
}

std::optional<WantedSlave> read_slave(JsonObject& in) {
  const auto master = in.required<IfName>("master");
  const auto name = in.required<IfName>("name");
  const auto netns = in.optional_or_null<std::string>("netns");
  const auto via = in.optional<Via>("via");
  const SlaveChange options = read_slave_options(in);
  const auto addresses = in.optional<std::vector<Prefix>>("addresses");
  if (!master || !name) return std::nullopt;
  return WantedSlave{*master, *name, netns, via, options, addresses};
}

Json to_json(const WantedPort& port) {
  return {{"master", port.master.str()},           {"mode", to_string(*port.options.mode)},
          {"flag", to_string(*port.options.flag)}, {"strict_private", *port.options.strict_private},
          {"announce", *port.options.announce},    {"xdp", to_string(*port.options.xdp)}};
}

Json to_json(const WantedSlave& slave) {
  Json addresses = Json::array();
  for (const Prefix& prefix : *slave.addresses) addresses.push_back(to_string(prefix));
  return {{"name", slave.name.str()},
          {"master", slave.master.str()},
          {"netns", slave.netns ? Json(*slave.netns) : Json()},
          {"mtu", *slave.options.mtu},
          {"up", *slave.options.up},
          {"via", to_string(*slave.via)},
          {"addr_policy", to_string(*slave.options.addr_policy)},
          {"max_addresses", *slave.options.max_addresses},
          {"addresses", addresses}};
}

}  // namespace

Result<Document> read_document(std::string_view body) {
  JsonObject in{body};
  in.required("version", kVersion);
  Document document{.ports = in.each<WantedPort>("ports", read_port),
                    .slaves = in.each<WantedSlave>("slaves", read_slave)};
  if (auto done = in.finish(); !done) return std::unexpected(std::move(done.error()));
  return document;
}

std::string write(const Document& document) {
  Json ports = Json::array();
  for (const WantedPort& port : document.ports) ports.push_back(to_json(port));
  Json slaves = Json::array();
  for (const WantedSlave& slave : document.slaves) slaves.push_back(to_json(slave));
  const Json out{{"version", 1}, {"ports", std::move(ports)}, {"slaves", std::move(slaves)}};
  return out.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace ipvlanx::api
