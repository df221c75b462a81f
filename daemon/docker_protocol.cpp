// SPDX-License-Identifier: Apache-2.0
#include "docker_protocol.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>

#include "ipvlanx/api/json_object.h"
#include "ipvlanx/api/replies.h"

namespace ipvlanx::daemon::docker {

namespace {

// Of a network or an endpoint; the engine makes them of 64 hexadecimal digits.
struct Id {
  std::string text;
};

// "" is none.
struct MaybePrefix {
  std::optional<Prefix> prefix;
};

struct Interface {
  std::vector<Prefix> addresses = {};
  std::string mac = {};
};

// What the user wrote after -o.
using Words = std::map<std::string, std::string>;

}  // namespace

}  // namespace ipvlanx::daemon::docker

namespace ipvlanx::api {

using daemon::docker::Id;
using daemon::docker::MaybePrefix;
using daemon::docker::Words;

template <>
Result<Id> read_field(Field field) {
  constexpr std::size_t kMost = 128;
  if (!field.value.is_string()) return wrong_type(field, "a string");
  const auto& text = field.value.get_ref<const std::string&>();
  const bool plain = std::ranges::all_of(text, [](unsigned char c) { return std::isalnum(c); });
  if (text.empty() || text.size() > kMost || !plain) {
    return fail(Errc::wrong_type, fmt::format("'{}' is not an id of letters and digits", field.path),
                field.path);
  }
  return Id{text};
}

template <>
Result<MaybePrefix> read_field(Field field) {
  const auto text = read_field<std::string>(field);
  if (!text) return std::unexpected(text.error());
  if (text->empty()) return MaybePrefix{};
  const auto prefix = Prefix::parse(*text);
  if (!prefix) return std::unexpected(Error{prefix.error()}.at(field.path));
  return MaybePrefix{*prefix};
}

template <>
Result<Words> read_field(Field field) {
  if (!field.value.is_object()) return wrong_type(field, "an object");
  Words words;
  for (const auto& [key, value] : field.value.items()) {
    const std::string path = field.path + "." + key;
    auto word = read_field<std::string>({value, path});
    if (!word) return std::unexpected(std::move(word.error()));
    words.emplace(key, *std::move(word));
  }
  return words;
}

}  // namespace ipvlanx::api

namespace ipvlanx::daemon::docker {

namespace {

using api::JsonObject;
using api::Reading;
using nlohmann::json;

constexpr api::Range kVersion{1, 1};
constexpr const char* kUsersOptions = "com.docker.network.generic";
constexpr const char* kInternal = "com.docker.network.internal";

std::optional<std::string> take(Words& words, const std::string& word) {
  auto node = words.extract(word);
  if (!node) return std::nullopt;
  return std::move(node.mapped());
}

// `ipvlan_mode` is Docker's word, `mode` podman's.
Result<NetworkOptions> options_of(Words words) {
  const auto parent = take(words, "parent");
  const auto mode = take(words, "ipvlan_mode");
  const auto same_mode = take(words, "mode");
  const auto flag = take(words, "ipvlan_flag");
  if (!words.empty()) {
    return fail(
        Errc::unknown_field,
        fmt::format("there is no option '{}': there are parent, ipvlan_mode (or mode) and ipvlan_flag",
                    words.begin()->first));
  }
  if (mode && same_mode) {
    return fail(Errc::bad_request, "ipvlan_mode and mode are the same option, given twice");
  }
  if (!parent) {
    return fail(Errc::no_such_master, "the parent interface is missing: -o parent=INTERFACE says which");
  }
  const auto name = IfName::parse(*parent);
  if (!name) return std::unexpected(name.error());
  NetworkOptions options{.parent = *name};
  if (mode || same_mode) {
    const auto word = parse_mode(mode ? *mode : *same_mode);
    if (!word) return std::unexpected(word.error());
    options.mode = *word;
  }
  if (flag) {
    const auto word = parse_flag(*flag);
    if (!word) return std::unexpected(word.error());
    options.flag = *word;
  }
  return options;
}

// What the engine says of a network before anybody looks at what it means.
struct Said {
  Words words = {};
  bool internal = false;
};

std::optional<Said> read_said(JsonObject& in) {
  auto words = in.optional<Words>(kUsersOptions);
  const auto internal = in.optional<bool>(kInternal);
  return Said{std::move(words).value_or(Words{}), internal.value_or(false)};
}

Result<NetworkOptions> understood(std::optional<Said> said) {
  auto options = options_of(said ? std::move(said->words) : Words{});
  if (options) options->internal = said && said->internal;
  return options;
}

std::optional<MaybePrefix> read_gateway(JsonObject& in) {
  return in.optional<MaybePrefix>("Gateway").value_or(MaybePrefix{});
}

std::optional<Interface> read_interface(JsonObject& in) {
  Interface interface;
  for (const char* key : {"Address", "AddressIPv6"}) {
    const auto address = in.optional<MaybePrefix>(key);
    if (address && address->prefix) interface.addresses.push_back(*address->prefix);
  }
  interface.mac = in.optional<std::string>("MacAddress").value_or("");
  return interface;
}

// Both are there where finish() finds nothing to complain about.
std::optional<EndpointName> read_endpoint_name(JsonObject& in) {
  auto network = in.required<Id>("NetworkID");
  auto endpoint = in.required<Id>("EndpointID");
  if (!network || !endpoint) return std::nullopt;
  return EndpointName{std::move(network->text), std::move(endpoint->text)};
}

json to_json(const Network& network) {
  json gateways = json::array();
  for (const Prefix& gateway : network.gateways) gateways.push_back(to_string(gateway));
  return {{"id", network.id},
          {"parent", network.options.parent.str()},
          {"mode", to_string(network.options.mode)},
          {"flag", to_string(network.options.flag)},
          {"internal", network.options.internal},
          {"gateways", std::move(gateways)}};
}

std::optional<Network> read_kept(JsonObject& in) {
  auto id = in.required<Id>("id");
  auto parent = in.required<IfName>("parent");
  const auto mode = in.required<Mode>("mode");
  const auto flag = in.required<Flag>("flag");
  const auto internal = in.required<bool>("internal");
  auto gateways = in.required<std::vector<Prefix>>("gateways");
  if (!gateways) return std::nullopt;
  return Network{std::move(id->text), {*std::move(parent), *mode, *flag, *internal}, *std::move(gateways)};
}

}  // namespace

Result<Network> read_new_network(std::string_view body) {
  JsonObject in{body, Reading::lenient};
  const auto id = in.required<Id>("NetworkID");
  auto said = in.object<Said>("Options", read_said);
  std::vector<Prefix> gateways;
  for (const char* pools : {"IPv4Data", "IPv6Data"}) {
    for (const MaybePrefix& gateway : in.each<MaybePrefix>(pools, read_gateway)) {
      if (gateway.prefix) gateways.push_back(*gateway.prefix);
    }
  }
  if (auto done = in.finish(); !done) return std::unexpected(std::move(done.error()));
  auto options = understood(std::move(said));
  if (!options) return std::unexpected(std::move(options.error()));
  return Network{id->text, *std::move(options), std::move(gateways)};
}

Result<NetworkOptions> read_network_options(std::string_view body) {
  JsonObject in{body, Reading::lenient};
  auto said = in.object<Said>("Options", read_said);
  if (auto done = in.finish(); !done) return std::unexpected(std::move(done.error()));
  return understood(std::move(said));
}

Result<std::string> read_network(std::string_view body) {
  JsonObject in{body, Reading::lenient};
  auto id = in.required<Id>("NetworkID");
  if (auto done = in.finish(); !done) return std::unexpected(std::move(done.error()));
  return std::move(id->text);
}

Result<NewEndpoint> read_new_endpoint(std::string_view body) {
  JsonObject in{body, Reading::lenient};
  auto name = read_endpoint_name(in);
  auto interface = in.object<Interface>("Interface", read_interface);
  if (auto done = in.finish(); !done) return std::unexpected(std::move(done.error()));
  if (interface && !interface->mac.empty()) {
    return fail(Errc::bad_request, "a container has its parent's MAC address: it cannot have one of its own");
  }
  if (!interface || interface->addresses.empty()) {
    return fail(Errc::bad_request, "a container needs an IP address: the network's IPAM driver gave none");
  }
  return NewEndpoint{*std::move(name), std::move(interface->addresses)};
}

Result<EndpointName> read_endpoint(std::string_view body) {
  JsonObject in{body, Reading::lenient};
  auto name = read_endpoint_name(in);
  if (auto done = in.finish(); !done) return std::unexpected(std::move(done.error()));
  return *std::move(name);
}

Result<void> read_anything(std::string_view body) {
  if (body.empty()) return {};
  return JsonObject{body, Reading::lenient}.finish();
}

bool is_undecodable(const Error& error) {
  switch (error.code) {
    case Errc::bad_json:
    case Errc::missing_field:
    case Errc::wrong_type:
    case Errc::bad_prefix:
      return true;
    default:
      return false;
  }
}

json to_json(const Joined& joined) {
  json answer{{"InterfaceName", {{"SrcName", joined.interface.str()}, {"DstPrefix", "eth"}}},
              {"Gateway", ""},
              {"GatewayIPv6", ""},
              {"StaticRoutes", json::array()},
              // Or the engine would give a container without a gateway a way out of its own.
              {"DisableGatewayService", true}};
  for (const IpAddress& gateway : joined.gateways) {
    answer[gateway.family() == Family::ipv4 ? "Gateway" : "GatewayIPv6"] = to_string(gateway);
  }
  constexpr int kByDevice = 1;  // libnetwork's types.CONNECTED
  for (const Family family : joined.default_by_device) {
    const char* everywhere = family == Family::ipv4 ? "0.0.0.0/0" : "::/0";
    answer["StaticRoutes"].push_back(
        {{"Destination", everywhere}, {"RouteType", kByDevice}, {"NextHop", ""}});
  }
  return answer;
}

json refusal(const Error& error) {
  return {{"Err", error.message}};
}

std::string to_text(const std::vector<Network>& networks) {
  json list = json::array();
  for (const Network& network : networks) list.push_back(to_json(network));
  return json{{"version", 1}, {"networks", std::move(list)}}.dump(1) + "\n";
}

Result<std::vector<Network>> parse_networks(std::string_view text) {
  JsonObject in{text};
  in.required("version", kVersion);
  auto networks = in.each<Network>("networks", read_kept);
  if (auto done = in.finish(); !done) return std::unexpected(std::move(done.error()));
  return networks;
}

}  // namespace ipvlanx::daemon::docker
