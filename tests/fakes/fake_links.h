// SPDX-License-Identifier: Apache-2.0
// The kernel's interfaces as a table in memory, that fails when told to.
#pragma once

#include <algorithm>
#include <map>
#include <set>

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

  // The n-th change from now fails (1: the next); 0: none.
  void fail_on(int n) { fail_in_ = n; }
  int changes() const { return changes_; }

  Result<MasterLink> master(const IfName& name) override {
    const auto found = masters.find(name.str());
    if (found == masters.end()) return fail(Errc::no_such_master, "no interface '" + name.str() + "'");
    return found->second;
  }
  Result<MasterLink> master(IfIndex ifindex) override {
    for (const auto& [name, link] : masters) {
      if (link.ifindex == ifindex) return link;
    }
    return fail(Errc::no_such_master, "no such interface");
  }
  Result<Netns> find_netns(std::string_view text) override {
    const auto found = namespaces.find(std::string{text});
    if (found == namespaces.end()) return fail(Errc::netns_gone, "no such namespace");
    return found->second;
  }
  std::optional<std::string> netns_name(Nsid netns) override {
    for (const auto& [name, known] : namespaces) {
      if (known == netns) return name;
    }
    return std::nullopt;
  }

  Result<Ends> create(const step::CreateLinks& pair) override {
    if (fails()) return fail(Errc::kernel_refused, "the fake kernel makes no pair");
    for (const auto& [host_end, link] : pairs) {
      if (link.place.netns == pair.netns && link.name == pair.name)
        return fail(Errc::name_in_use, "name in use");
    }
    const IfIndex host_end{next_++};
    const Place place{pair.netns, IfIndex{next_++}};
    pairs.emplace(host_end, SlaveLink{.place = place, .name = pair.name, .mac = pair.mac, .mtu = pair.mtu});
    ids[pair.slave] = host_end;
    if (pair.routed) routed.insert(host_end);
    return Ends{host_end, place};
  }
  Result<void> remove(const Ends& ends) override {
    if (fails()) return fail(Errc::kernel_refused, "the fake kernel keeps the pair");
    pairs.erase(ends.host_end);
    std::erase_if(ids, [&](const auto& entry) { return entry.second == ends.host_end; });
    return {};
  }
  Result<void> remove(const std::vector<IfIndex>& host_ends) override {
    if (fails()) return fail(Errc::kernel_refused, "the fake kernel keeps the pairs");
    for (const IfIndex host_end : host_ends) {
      pairs.erase(host_end);
      std::erase_if(ids, [&](const auto& entry) { return entry.second == host_end; });
    }
    return {};
  }
  Result<SlaveLink> look(IfIndex host_end) override {
    const auto found = pairs.find(host_end);
    if (found == pairs.end()) return fail(Errc::no_such_slave, "gone");
    return found->second;
  }
  Result<std::map<SlaveId, IfIndex>> host_ends() override { return ids; }

  Result<Relay> relay() override { return Relay{IfIndex{90}, IfIndex{91}}; }
  Result<void> remove_relay() override { return {}; }
  Result<void> tune(IfIndex master, std::optional<Mode> mode) override {
    if (fails()) return fail(Errc::kernel_refused, "the fake kernel changes nothing");
    if (mode) {
      tuned[master] = *mode;
    } else {
      tuned.erase(master);
    }
    return {};
  }
  Result<void> tune(const std::map<IfIndex, Mode>& ports) override {
    tuned = ports;
    return {};
  }
  Result<void> write(const RouteRow& route) override {
    if (fails()) return fail(Errc::kernel_refused, "the fake kernel adds no route");
    host_routes.insert(route.key());
    return {};
  }
  Result<void> erase(const RouteRow& route) override {
    if (fails()) return fail(Errc::kernel_refused, "the fake kernel keeps its routes");
    host_routes.erase(route.key());
    return {};
  }
  Result<std::vector<RouteRow>> routes() override {
    std::vector<RouteRow> rows;
    for (const auto& [host_end, address, port] : host_routes) rows.push_back({host_end, address, port});
    return rows;
  }
  Result<void> set_routed(const Ends& ends, bool on) override {
    if (fails()) return fail(Errc::kernel_refused, "the fake kernel refuses");
    if (on) {
      routed.insert(ends.host_end);
    } else {
      routed.erase(ends.host_end);
    }
    return {};
  }
  Result<void> set_mac(const Place& place, const MacAddress& mac) override {
    if (is_host_end(place)) return {};
    return change(place, [&](SlaveLink& link) { link.mac = mac; });
  }
  Result<void> set_up(const Place& place, bool up) override {
    if (is_host_end(place)) return {};
    return change(place, [&](SlaveLink& link) { link.up = up; });
  }
  Result<void> set_mtu(const Place& place, std::uint32_t mtu) override {
    if (is_host_end(place)) return {};
    return change(place, [&](SlaveLink& link) { link.mtu = mtu; });
  }
  Result<void> assign(const Place& place, const Prefix& prefix) override {
    return change(place, [&](SlaveLink& link) {
      if (std::ranges::find(link.addresses, prefix) == link.addresses.end()) link.addresses.push_back(prefix);
    });
  }
  Result<void> unassign(const Place& place, const Prefix& prefix) override {
    return change(place, [&](SlaveLink& link) { std::erase(link.addresses, prefix); });
  }
  Result<void> move(const Place& place, Netns to) override {
    return change(place, [&](SlaveLink& link) {
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
    separated.push_back(id);
    return {};
  }
  std::vector<SlaveId> separated;
  std::vector<Announced> announced;
  std::map<IfIndex, Mode> tuned;   // by tune()
  std::set<RouteKey> host_routes;  // by write() and erase()
  std::set<IfIndex> routed;        // host ends, by set_routed()

 private:
  bool fails() {
    ++changes_;
    return fail_in_ > 0 && --fail_in_ == 0;
  }
  bool is_host_end(const Place& place) const { return !place.netns && pairs.contains(place.ifindex); }
  template <class F>
  Result<void> change(const Place& place, F edit) {
    if (fails()) return fail(Errc::kernel_refused, "the fake kernel refuses");
    for (auto& [host_end, link] : pairs) {
      if (link.place == place) {
        edit(link);
        return {};
      }
    }
    return fail(Errc::kernel_refused, "no such interface");
  }

  std::uint32_t next_ = 100;
  int fail_in_ = 0;
  int changes_ = 0;
};

}  // namespace ipvlanx
