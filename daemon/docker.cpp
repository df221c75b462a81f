// SPDX-License-Identifier: Apache-2.0
#include "docker.h"

#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <functional>
#include <ranges>

#include "ipvlanx/base/files.h"

namespace ipvlanx::daemon {

using docker::EndpointName;
using docker::Joined;
using docker::Network;
using docker::NewEndpoint;

namespace {

std::string owner_prefix(const std::string& network) {
  return fmt::format("docker/{}/", network);
}

std::string owner_of(const EndpointName& endpoint) {
  return owner_prefix(endpoint.network) + endpoint.id;
}

// As host ends are called, so that network managers leave it alone for the moment it is in
// the host's namespace.
Result<IfName> interface_of(const EndpointName& endpoint) {
  return IfName::parse("ipvxd" + endpoint.id.substr(0, 10));
}

std::vector<SlaveId> slaves_where(const State& state, const std::function<bool(const Slave&)>& wanted) {
  std::vector<SlaveId> ids;
  for (const auto& [id, slave] : state.slaves()) {
    if (wanted(slave)) ids.push_back(id);
  }
  return ids;
}

const Slave* slave_of(const State& state, const EndpointName& endpoint) {
  const std::string owner = owner_of(endpoint);
  for (const auto& [id, slave] : state.slaves()) {
    if (slave.owner == owner) return &slave;
  }
  return nullptr;
}

bool has(const Slave& slave, const std::vector<Prefix>& addresses) {
  return std::ranges::all_of(addresses, [&](const Prefix& prefix) {
    const Address* address = slave.find(prefix.address);
    return address && address->prefix == prefix && address->origin == Origin::api;
  });
}

// Whether they are on one link.
bool is_reached_from(const Prefix& gateway, const IpAddress& address) {
  if (gateway.address.family() != address.family()) return false;
  for (unsigned bit = 0; bit < gateway.length; ++bit) {
    const unsigned differing = gateway.address.bytes()[bit / 8] ^ address.bytes()[bit / 8];
    if ((differing << bit % 8) & 0x80) return false;
  }
  return true;
}

api::NewSlave slave_in(const docker::NetworkOptions& network, const IfName& name) {
  return {.master = network.parent, .name = name, .mode = network.mode, .flag = network.flag};
}

}  // namespace

Docker::Docker(Controller& controller, std::string path) : controller_(controller), path_(std::move(path)) {
}

Result<void> Docker::start() {
  const auto text = read_file(path_);
  if (!text) return std::unexpected(text.error());
  if (!*text) return {};
  auto networks = docker::parse_networks(**text);
  if (networks) {
    networks_ = *std::move(networks);
    return {};
  }
  const std::string aside = path_ + ".refused";
  if (std::rename(path_.c_str(), aside.c_str()) != 0) return kernel_error(path_, errno);
  return fail(Errc::bad_json,
              fmt::format("{} is now '{}': {}", path_, aside, std::move(networks.error()).message));
}

Result<void> Docker::create_network(const Network& network) {
  const auto& options = network.options;
  if (auto may = controller_.may_add_slave(slave_in(options, options.parent)); !may) return may;
  auto networks = networks_;
  std::erase_if(networks, [&](const Network& known) { return known.id == network.id; });
  networks.push_back(network);
  return keep(std::move(networks));
}

Result<void> Docker::delete_network(const std::string& id) {
  const auto endpoints = slaves_where(
      controller_.state(), [&](const Slave& slave) { return slave.owner.starts_with(owner_prefix(id)); });
  if (auto done = remove_slaves(endpoints); !done) return done;
  auto networks = networks_;
  if (std::erase_if(networks, [&](const Network& known) { return known.id == id; }) == 0) return {};
  return keep(std::move(networks));
}

Result<void> Docker::create_endpoint(const NewEndpoint& endpoint) {
  const auto network = find(endpoint.name.network);
  if (!network) return std::unexpected(network.error());
  const auto name = interface_of(endpoint.name);
  if (!name) return std::unexpected(name.error());

  const Slave* there = slave_of(controller_.state(), endpoint.name);
  if (there && has(*there, endpoint.addresses)) return {};
  // The engine gives an address to one endpoint of a network: who has it is one that the engine
  // did not hear of, or has forgotten.
  const auto forgotten = slaves_where(controller_.state(), [&](const Slave& slave) {
    const bool same = std::ranges::any_of(
        endpoint.addresses, [&](const Prefix& prefix) { return slave.find(prefix.address) != nullptr; });
    return &slave == there || (same && slave.owner.starts_with(owner_prefix(endpoint.name.network)));
  });
  if (auto done = remove_slaves(forgotten); !done) return done;

  api::NewSlave request = slave_in((*network)->options, *name);
  request.addresses = endpoint.addresses;
  request.owner = owner_of(endpoint.name);
  if (const auto added = controller_.add_slave(request); !added) return std::unexpected(added.error());
  return {};
}

Result<void> Docker::delete_endpoint(const EndpointName& endpoint) {
  const Slave* slave = slave_of(controller_.state(), endpoint);
  return slave ? remove_slaves({slave->id}) : Result<void>{};
}

Result<Joined> Docker::join(const EndpointName& endpoint) const {
  const auto network = find(endpoint.network);
  if (!network) return std::unexpected(network.error());
  const auto interface = interface_of(endpoint);
  if (!interface) return std::unexpected(interface.error());
  const Slave* slave = slave_of(controller_.state(), endpoint);
  if (!slave) {
    return fail(Errc::no_such_slave, fmt::format("endpoint {:.12} has no slave any more", endpoint.id));
  }

  Joined joined{.interface = *interface};
  const docker::NetworkOptions& options = (*network)->options;
  if (options.internal) return joined;
  for (const Address& address : slave->addresses) {
    const IpAddress& ip = address.prefix.address;
    if (address.origin != Origin::api) continue;
    if (options.mode != Mode::l2) {
      joined.default_by_device.push_back(ip.family());
      continue;
    }
    const auto gateway = std::ranges::find_if((*network)->gateways,
                                              [&](const Prefix& one) { return is_reached_from(one, ip); });
    if (gateway != (*network)->gateways.end()) joined.gateways.push_back(gateway->address);
  }
  return joined;
}

Result<const Network*> Docker::find(const std::string& id) const {
  const auto found = std::ranges::find(networks_, id, &Network::id);
  if (found == networks_.end()) {
    return fail(Errc::bad_request,
                fmt::format("ipvlanx knows no network {:.12}: it has to be made again", id));
  }
  return &*found;
}

// On disk before anybody is told.
Result<void> Docker::keep(std::vector<Network> networks) {
  if (auto written = replace_file(path_, docker::to_text(networks)); !written) {
    return std::unexpected(std::move(written.error()).within(path_));
  }
  networks_ = std::move(networks);
  return {};
}

Result<void> Docker::remove_slaves(const std::vector<SlaveId>& slaves) {
  for (const SlaveId id : slaves) {
    auto removed = controller_.delete_slave(id);
    if (!removed && removed.error().code != Errc::no_such_slave) return removed;
  }
  return {};
}

}  // namespace ipvlanx::daemon
