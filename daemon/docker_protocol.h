// SPDX-License-Identifier: Apache-2.0
// What Docker's engine says to a remote network driver, and what it is told: JSON in the shapes
// of libnetwork's docs/remote.md. Keys of a later engine are passed over; what is said of a
// network by its user (docker network create -o) is read strictly.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ipvlanx/model/state.h"

namespace ipvlanx::daemon::docker {

// What an answer is sent as.
inline constexpr const char* kMimeType = "application/vnd.docker.plugins.v1.1+json";

// Options of docker network create; the defaults are those of Docker's own ipvlan driver.
struct NetworkOptions {
  IfName parent;
  Mode mode = Mode::l2;
  Flag flag = Flag::bridge;
  bool internal = false;  // its containers get no gateway and no default route
  bool operator==(const NetworkOptions&) const = default;
};

struct Network {
  std::string id;
  NetworkOptions options;
  std::vector<Prefix> gateways = {};  // of its pools, as 10.80.0.1/24
  bool operator==(const Network&) const = default;
};

struct EndpointName {
  std::string network;
  std::string id;
};

struct NewEndpoint {
  EndpointName name;
  std::vector<Prefix> addresses;  // as the engine will put them on the interface
};

// What a container's end needs, once it is joined.
struct Joined {
  IfName interface;
  std::vector<IpAddress> gateways = {};        // of each family one at most
  std::vector<Family> default_by_device = {};  // whose default route is the interface itself
};

Result<Network> read_new_network(std::string_view body);
// Of a network that may be made: will it need gateways' addresses?
Result<NetworkOptions> read_network_options(std::string_view body);
Result<std::string> read_network(std::string_view body);
Result<NewEndpoint> read_new_endpoint(std::string_view body);
Result<EndpointName> read_endpoint(std::string_view body);
// Of a message in which nothing concerns us: no body, or an object.
Result<void> read_anything(std::string_view body);

// An error of the engine's own, as opposed to what it passes on to its user: nothing that is
// wrong with a user's options is one.
bool is_undecodable(const Error& error);

nlohmann::json to_json(const Joined& joined);
nlohmann::json refusal(const Error& error);

// The networks as they are kept on disk:
//
//   {"version": 1, "networks": [{"id": "c0ffee", "parent": "eth0", "mode": "l2", "flag": "bridge",
//                                "internal": false, "gateways": ["10.80.0.1/24"]}]}
std::string to_text(const std::vector<Network>& networks);
Result<std::vector<Network>> parse_networks(std::string_view text);

}  // namespace ipvlanx::daemon::docker
