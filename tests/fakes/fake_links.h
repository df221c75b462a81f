// SPDX-License-Identifier: Apache-2.0
// The kernel's interfaces as a table in memory, that fails when told to.
#pragma once

#include <algorithm>
#include <atomic>
#include <map>
#include <memory>
#include <set>

#include "fakes/faults.h"
#include "ipvlanx/netlink/links.h"

namespace ipvlanx {

class FakeLinks final : public Links {
 public:
  std::map<std::string, MasterLink> masters;
  std::map<std::string, Netns> namespaces;
  // Container ends, by the host end's number. A test may change them, as a tenant
  // does, and tell the controller by a notice.
  std::map<IfIndex, SlaveLink> pairs;
  std::map<SlaveId, IfIndex> ids;

  std::shared_ptr<Faults> faults = std::make_shared<Faults>();
  // The n-th change from now fails (1: the next); 0: none.
  void fail_on(int n) {
    faults->forget();
    if (n > 0) faults->fail_on(n);
  }

  Result<MasterLink> master(const IfName& name) override {
    return faults->read("read master", [&]() -> Result<MasterLink> {
      const auto found = masters.find(name.str());
      if (found == masters.end()) return fail(Errc::no_such_master, "no interface '" + name.str() + "'");
      return found->second;
    });
  }
  Result<MasterLink> master(IfIndex ifindex) override {
    return faults->read("read master", [&]() -> Result<MasterLink> {
      for (const auto& [name, link] : masters) {
        if (link.ifindex == ifindex) return link;
      }
      return fail(Errc::no_such_master, "no such interface");
    });
  }
  Result<Netns> find_netns(std::string_view text) override {
    return faults->read("find netns", [&]() -> Result<Netns> {
      const auto found = namespaces.find(std::string{text});
      if (found == namespaces.end()) return fail(Errc::netns_gone, "no such namespace");
      return found->second;
    });
  }
  std::atomic<int> names_looked_up = 0;
  std::optional<std::string> netns_name(Nsid netns) override {
    ++names_looked_up;
    for (const auto& [name, known] : namespaces) {
      if (known == netns) return name;
    }
    return std::nullopt;
  }

  Result<UniqueFd> open_netns(Nsid) override { return UniqueFd{}; }
  Result<Ends> create(const step::CreateLinks& pair) override {
    return faults->whole("create", [&]() -> Result<Ends> {
      for (const auto& [host_end, link] : pairs) {
        if (link.place.netns == pair.netns && link.name == pair.name)
          return fail(Errc::name_in_use, "name in use");
      }
      const IfIndex host_end{next_++};
      const Place place{pair.netns, IfIndex{next_++}};
      pairs.emplace(host_end, SlaveLink{.place = place, .name = pair.name, .mac = pair.mac, .mtu = pair.mtu});
      host_mtus[host_end] = host_end_mtu(pair.mtu);
      ids[pair.slave] = host_end;
      unsettled.insert(host_end);
      if (pair.carrier) carriers.insert(host_end);
      if (pair.routed) routed.insert(host_end);
      return Ends{host_end, place};
    });
  }
  Result<void> remove(const Ends& ends) override {
    return faults->whole("remove", [&]() -> Result<void> {
      forget(ends.host_end);
      return {};
    });
  }
  Result<void> remove(const std::vector<IfIndex>& host_ends) override {
    return faults->whole("remove many", [&]() -> Result<void> {
      for (const IfIndex host_end : host_ends) forget(host_end);
      return {};
    });
  }
  Result<void> settle(const std::vector<IfIndex>& host_ends, bool settled) override {
    return change("settle", [&]() -> Result<void> {
      for (const IfIndex host_end : host_ends) put(unsettled, host_end, !settled);
      return {};
    });
  }
  Result<void> tidy(const std::set<IfIndex>& host_ends) override {
    for (const IfIndex host_end : std::set{unsettled}) {
      if (!host_ends.contains(host_end)) forget(host_end);
    }
    unsettled.clear();
    return {};
  }
  Result<SlaveLink> look(IfIndex host_end) override {
    return faults->read("look", [&]() -> Result<SlaveLink> {
      const auto found = pairs.find(host_end);
      if (found == pairs.end()) return fail(Errc::no_such_slave, "gone");
      return found->second;
    });
  }
  Result<std::map<SlaveId, IfIndex>> host_ends() override {
    return faults->read("host ends", [&]() -> Result<std::map<SlaveId, IfIndex>> { return ids; });
  }

  Result<Relay> relay() override { return Relay{IfIndex{90}, IfIndex{91}}; }
  Result<void> remove_relay() override { return {}; }
  Result<void> tune(IfIndex master, std::optional<Mode> mode) override {
    return change("tune", [&]() -> Result<void> {
      if (mode) {
        tuned[master] = *mode;
      } else {
        tuned.erase(master);
      }
      return {};
    });
  }
  Result<void> tune(const std::map<IfIndex, Mode>& ports) override {
    tuned = ports;
    return {};
  }
  Result<void> write(const RouteRow& route) override {
    return change("write route", [&]() -> Result<void> {
      host_routes.insert(route.key());
      return {};
    });
  }
  Result<void> erase(const RouteRow& route) override {
    return change("erase route", [&]() -> Result<void> {
      host_routes.erase(route.key());
      return {};
    });
  }
  Result<std::vector<RouteRow>> routes() override {
    std::vector<RouteRow> rows;
    for (const auto& [host_end, address, port] : host_routes) rows.push_back({host_end, address, port});
    return rows;
  }
  Result<void> set_routed(const Ends& ends, bool on) override {
    return change("set routed", [&]() -> Result<void> {
      put(routed, ends.host_end, on);
      return {};
    });
  }
  Result<void> set_mac(const Place& place, const MacAddress& mac) override {
    return change("set mac", place, [&](SlaveLink& link) { link.mac = mac; }, [](IfIndex) {});
  }
  Result<void> set_up(const Place& place, bool up) override {
    return change(
        "set up", place, [&](SlaveLink& link) { link.up = up; },
        [&](IfIndex host_end) { put(carriers, host_end, up); });
  }
  Result<void> set_mtu(const Place& place, std::uint32_t mtu) override {
    return change(
        "set mtu", place, [&](SlaveLink& link) { link.mtu = mtu; },
        [&](IfIndex host_end) { host_mtus[host_end] = mtu; });
  }
  Result<void> assign(const Place& place, const Prefix& prefix) override {
    return change("assign", place, [&](SlaveLink& link) {
      if (std::ranges::find(link.addresses, prefix) == link.addresses.end()) link.addresses.push_back(prefix);
    });
  }
  Result<void> unassign(const Place& place, const Prefix& prefix) override {
    return faults->whole("unassign", [&]() -> Result<void> {
      for (auto& [host_end, link] : pairs) {
        if (link.place == place) std::erase(link.addresses, prefix);
      }
      return {};
    });
  }
  Result<void> move(const Place& place, Netns to) override {
    return change("move", place, [&](SlaveLink& link) {
      link.place.netns = to;  // its number stays, as in the kernel where it is free
      link.up = false;
      link.addresses.clear();
    });
  }
  struct Announced {
    IfIndex master{};
    std::optional<IfIndex> as_slave;
    MacAddress mac;
    IpAddress address;
    bool operator==(const Announced&) const = default;
  };
  Result<void> announce(IfIndex master, std::optional<IfIndex> as_slave, const MacAddress& mac,
                        const IpAddress& address) override {
    announced.push_back({master, as_slave, mac, address});
    return {};
  }
  Result<void> separate_link_locals(const Place&, SlaveId id, const MacAddress&) override {
    return faults->read("separate", [&]() -> Result<void> {
      separated.push_back(id);
      return {};
    });
  }
  std::vector<SlaveId> separated;
  std::vector<Announced> announced;
  std::map<IfIndex, Mode> tuned;   // by tune()
  std::set<RouteKey> host_routes;  // by write() and erase()
  // Host ends:
  std::set<IfIndex> unsettled;  // by create() and settle()
  std::set<IfIndex> routed;     // by set_routed()
  std::set<IfIndex> carriers;   // up, by set_up()
  std::map<IfIndex, std::uint32_t> host_mtus;

 private:
  template <class Act>
  Result<void> change(const char* name, Act act) {
    return faults->change(name, Errc::kernel_refused, act);
  }
  // Of a container end; or, where something is said of it, of a host end.
  template <class Edit, class EditHostEnd = std::nullptr_t>
  Result<void> change(const char* name, const Place& place, Edit edit, EditHostEnd edit_host_end = {}) {
    return change(name, [&]() -> Result<void> {
      if constexpr (!std::is_null_pointer_v<EditHostEnd>) {
        if (!place.netns && pairs.contains(place.ifindex)) {
          edit_host_end(place.ifindex);
          return {};
        }
      }
      for (auto& [host_end, link] : pairs) {
        if (link.place == place) {
          edit(link);
          return {};
        }
      }
      return fail(Errc::kernel_refused, "no such interface");
    });
  }
  static void put(std::set<IfIndex>& set, IfIndex host_end, bool in) {
    if (in) {
      set.insert(host_end);
    } else {
      set.erase(host_end);
    }
  }
  void forget(IfIndex host_end) {
    pairs.erase(host_end);
    std::erase_if(ids, [&](const auto& entry) { return entry.second == host_end; });
    unsettled.erase(host_end);
    routed.erase(host_end);
    carriers.erase(host_end);
    host_mtus.erase(host_end);
    std::erase_if(host_routes, [&](const RouteKey& route) { return std::get<0>(route) == host_end; });
  }

  std::uint32_t next_ = 100;
};

}  // namespace ipvlanx
