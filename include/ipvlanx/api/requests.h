// SPDX-License-Identifier: Apache-2.0
// What a client may ask for, as types: the JSON bodies of DESIGN.md section 6,
// read strictly. Unknown and duplicate keys, wrong types and values out of range
// are refused with the field's JSON path.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ipvlanx/model/probe.h"
#include "ipvlanx/model/state.h"

namespace ipvlanx::api {

// POST /v1/slaves
struct NewSlave {
  IfName master;
  IfName name;
  std::optional<std::string> netns = {};  // name, pid or path, not resolved
  std::optional<Mode> mode = {};
  std::optional<Flag> flag = {};
  std::optional<std::uint32_t> mtu = {};
  std::optional<Via> via = {};
  std::optional<AddrPolicy> addr_policy = {};
  std::optional<std::uint32_t> max_addresses = {};
  std::vector<Prefix> addresses = {};
  std::string owner = {};  // as Slave's; no field of the request
};

// PATCH /v1/slaves/{id}: what is not given stays as it is.
struct SlaveChange {
  std::optional<Mode> mode = {};
  std::optional<Flag> flag = {};
  std::optional<std::string> netns = {};
  std::optional<std::uint32_t> mtu = {};
  std::optional<bool> up = {};
  std::optional<AddrPolicy> addr_policy = {};
  std::optional<std::uint32_t> max_addresses = {};
};

// PATCH /v1/ports/{master}
struct PortChange {
  std::optional<Mode> mode = {};
  std::optional<Flag> flag = {};
  std::optional<bool> strict_private = {};
  std::optional<bool> announce = {};
  std::optional<Xdp> xdp = {};
};

// POST /v1/slaves/{id}/addresses
struct NewAddress {
  Prefix address;
};

// POST /v1/trace: a packet that could be.
struct TraceRequest {
  IfName master;
  std::optional<SlaveId> slave = {};  // who sends it; none: somebody on the wire
  std::optional<IpAddress> src = {};
  IpAddress dst;  // of src's family
  Proto proto = Proto::icmp;
  std::optional<std::uint32_t> sport = {};  // 0 to 65535, of tcp and udp
  std::optional<std::uint32_t> dport = {};
};

Result<NewSlave> read_new_slave(std::string_view body);
Result<SlaveChange> read_slave_change(std::string_view body);
Result<PortChange> read_port_change(std::string_view body);
Result<NewAddress> read_new_address(std::string_view body);
Result<TraceRequest> read_trace(std::string_view body);
// Of a POST that says all by its path: no body, or an object without fields.
Result<void> read_nothing(std::string_view body);

// The same bodies as a client writes them.
std::string write(const NewSlave& request);
std::string write(const SlaveChange& request);
std::string write(const PortChange& request);
std::string write(const NewAddress& request);
std::string write(const TraceRequest& request);

}  // namespace ipvlanx::api
