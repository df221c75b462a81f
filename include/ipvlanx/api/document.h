// SPDX-License-Identifier: Apache-2.0
// What is wanted of a host, as one JSON document: GET /v1/save gives it, POST /v1/apply
// takes it.
//
//   {"version": 1,
//    "ports":  [{"master": "eth0", "mode": "l2", "flag": "bridge", "strict_private": false,
//                "announce": true, "xdp": "auto"}],
//    "slaves": [{"name": "ipvl0", "master": "eth0", "netns": "ns0", "mtu": 1500, "up": true,
//                "via": "veth", "addr_policy": "learn", "max_addresses": 64,
//                "addresses": ["10.0.0.5/24"]}]}
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ipvlanx/api/requests.h"

namespace ipvlanx::api {

struct WantedPort {
  IfName master;
  PortChange options;
};

// Known by its name and namespace. What is not given stays as it is, or is a new slave's.
struct WantedSlave {
  IfName master;
  IfName name;
  std::optional<std::string> netns = {};              // name or path; none: the host's
  std::optional<Via> via = {};                        // of one that is there: cannot be changed
  SlaveChange options = {};                           // of the slave alone: neither mode nor flag nor netns
  std::optional<std::vector<Prefix>> addresses = {};  // all that are the API's
};

struct Document {
  std::vector<WantedPort> ports = {};
  std::vector<WantedSlave> slaves = {};
};

Result<Document> read_document(std::string_view body);
std::string write(const Document& document);  // for people, too: indented, with a newline

}  // namespace ipvlanx::api
