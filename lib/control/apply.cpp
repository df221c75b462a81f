// SPDX-License-Identifier: Apache-2.0
#include "ipvlanx/control/apply.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <ranges>

#include "ipvlanx/control/netns_names.h"

namespace ipvlanx {

namespace {

api::PortChange options_of(const Port& port) {
  return {.mode = port.mode,
          .flag = port.flag,
          .strict_private = port.strict_private,
          .announce = port.announce,
          .xdp = port.xdp};
}

// Whether all that is wanted is so.
bool has(const Port& port, const api::PortChange& wanted) {
  return wanted.mode.value_or(port.mode) == port.mode && wanted.flag.value_or(port.flag) == port.flag &&
         wanted.strict_private.value_or(port.strict_private) == port.strict_private &&
         wanted.announce.value_or(port.announce) == port.announce &&
         wanted.xdp.value_or(port.xdp) == port.xdp;
}

api::SlaveChange options_of(const Slave& slave) {
  return {.mtu = slave.mtu,
          .up = slave.up,
          .addr_policy = slave.addr_policy,
          .max_addresses = slave.max_addresses};
}

bool has(const Slave& slave, const api::SlaveChange& wanted) {
  return wanted.mtu.value_or(slave.mtu) == slave.mtu && wanted.up.value_or(slave.up) == slave.up &&
         wanted.addr_policy.value_or(slave.addr_policy) == slave.addr_policy &&
         wanted.max_addresses.value_or(slave.max_addresses) == slave.max_addresses;
}

std::vector<Prefix> api_addresses(const Slave& slave) {
  std::vector<Prefix> prefixes;
  for (const Address& address : slave.addresses) {
    if (address.origin == Origin::api) prefixes.push_back(address.prefix);
  }
  return prefixes;
}

bool contains(const std::vector<Prefix>& prefixes, const Prefix& prefix) {
  return std::ranges::find(prefixes, prefix) != prefixes.end();
}

// One document's way into the state, and back where it cannot go on.
class Application {
 public:
  explicit Application(Controller& controller) : controller_(controller) {}

  Result<void> make(const api::WantedPort& wanted) {
    const Port* before = state().port_named(wanted.master.str());
    if (before && has(*before, wanted.options)) return {};
    const std::optional<api::PortChange> old = before ? std::optional{options_of(*before)} : std::nullopt;
    return step(controller_.change_port(wanted.master, wanted.options),
                old ? applied.changed : applied.created, [this, old, master = wanted.master] {
                  return old ? controller_.change_port(master, *old) : controller_.delete_port(master);
                });
  }

  Result<void> make(const api::WantedSlave& wanted) {
    const auto existing = find(wanted);
    if (!existing) return std::unexpected(existing.error());
    return *existing ? change(**existing, wanted) : create(wanted);
  }

  // What cannot be taken back without taking it from the tenant: that the API says so, too, of
  // an address that was learnt. At the very end.
  Result<void> confirm() {
    for (const auto& confirm : confirmations_) {
      if (auto done = confirm(); !done) return done;
    }
    return {};
  }

  void take_back() {
    for (const auto& undo : undo_ | std::views::reverse) (void)undo();
  }

  Applied applied;

 private:
  using Undo = std::function<Result<void>()>;

  const State& state() const { return controller_.state(); }

  Result<void> step(Result<void> done, std::uint32_t& count, Undo undo) {
    if (!done) return done;
    ++count;
    undo_.push_back(std::move(undo));
    return {};
  }

  Result<std::optional<SlaveId>> find(const api::WantedSlave& wanted) {
    Netns netns;
    if (wanted.netns) {
      const auto found = controller_.find_netns(*wanted.netns);
      if (!found) return std::unexpected(found.error());
      netns = *found;
    }
    const Port* port = state().port_named(wanted.master.str());
    for (const auto& [id, slave] : state().slaves()) {
      const bool same = slave.name == wanted.name && slave.ends.container_end.netns == netns;
      if (same && port && slave.master == port->master) return id;
    }
    return std::nullopt;
  }

  Result<void> create(const api::WantedSlave& wanted) {
    api::NewSlave request{.master = wanted.master,
                          .name = wanted.name,
                          .netns = wanted.netns,
                          .mtu = wanted.options.mtu,
                          .via = wanted.via,
                          .addr_policy = wanted.options.addr_policy,
                          .max_addresses = wanted.options.max_addresses,
                          .addresses = wanted.addresses.value_or(std::vector<Prefix>{})};
    const auto id = controller_.add_slave(request);
    if (!id) return std::unexpected(id.error());
    ++applied.created;
    undo_.push_back([this, id] { return controller_.delete_slave(*id); });
    const Slave* slave = state().slave(*id);
    if (!slave || wanted.options.up.value_or(slave->up) == slave->up) return {};
    return controller_.change_slave(*id, {.up = wanted.options.up});
  }

  Result<void> change(SlaveId id, const api::WantedSlave& wanted) {
    const Slave before = *state().slave(id);
    if (wanted.via.value_or(before.via) != before.via) {
      return fail(Errc::name_in_use,
                  fmt::format("slave '{}' (id {}) is there, via {}: delete it first", before.name.str(),
                              number(id), to_string(before.via)),
                  "via");
    }
    std::uint32_t parts = 0;  // of one slave, counted as one
    if (!has(before, wanted.options)) {
      auto done = step(controller_.change_slave(id, wanted.options), parts,
                       [this, id, old = options_of(before)] { return controller_.change_slave(id, old); });
      if (!done) return done;
    }
    if (wanted.addresses) {
      if (auto done = set_addresses(before, *wanted.addresses, parts); !done) return done;
    }
    if (parts > 0) ++applied.changed;
    return {};
  }

  Result<void> set_addresses(const Slave& before, const std::vector<Prefix>& wanted, std::uint32_t& parts) {
    const SlaveId id = before.id;
    const auto there = api_addresses(before);
    const auto add = [this, id](const Prefix& prefix) { return controller_.add_address(id, {prefix}); };
    const auto remove = [this, id](const Prefix& prefix) {
      return controller_.delete_address(id, prefix.address);
    };
    for (const Prefix& prefix : there) {
      if (contains(wanted, prefix)) continue;
      if (auto done = step(remove(prefix), parts, [=] { return add(prefix); }); !done) return done;
    }
    for (const Prefix& prefix : wanted) {
      if (contains(there, prefix)) continue;
      const Address* known = before.find(prefix.address);
      if (known && known->origin == Origin::learnt) {
        confirmations_.push_back([=] { return add(prefix); });
        ++parts;
        continue;
      }
      if (auto done = step(add(prefix), parts, [=] { return remove(prefix); }); !done) return done;
    }
    return {};
  }

  Controller& controller_;
  std::vector<Undo> undo_;
  std::vector<std::function<Result<void>()>> confirmations_;
};

template <class Wanted>
Result<void> make_all(Application& application, const std::vector<Wanted>& all, std::string_view list) {
  for (std::size_t i = 0; i < all.size(); ++i) {
    auto done = application.make(all[i]);
    if (done) continue;
    const std::string path = fmt::format("{}[{}]", list, i);
    const std::string& field = done.error().field;
    return std::unexpected(std::move(done.error()).at(field.empty() ? path : path + "." + field));
  }
  return {};
}

}  // namespace

api::Document save(Controller& controller) {
  const State& state = controller.state();
  NetnsNames netnses{controller};
  api::Document document;
  for (const auto& [master, port] : state.ports()) document.ports.push_back({port.name, options_of(port)});
  for (const auto& [id, slave] : state.slaves()) {
    if (!slave.owner.empty()) continue;
    const auto& netns = netnses.of(slave);
    if (slave.ends.container_end.netns && !netns) continue;
    document.slaves.push_back({.master = state.port(slave.master)->name,
                               .name = slave.name,
                               .netns = netns,
                               .via = slave.via,
                               .options = options_of(slave),
                               .addresses = api_addresses(slave)});
  }
  return document;
}

Result<Applied> apply(Controller& controller, const api::Document& document) {
  Application application{controller};
  auto done = make_all(application, document.ports, "ports");
  if (done) done = make_all(application, document.slaves, "slaves");
  if (done) done = application.confirm();
  if (done) return application.applied;
  application.take_back();
  return std::unexpected(std::move(done.error()));
}

}  // namespace ipvlanx
