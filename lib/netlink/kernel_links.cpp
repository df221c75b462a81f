// SPDX-License-Identifier: Apache-2.0
// What does each verb of Links say to the kernel?
#include "ipvlanx/netlink/kernel_links.h"

#include <fmt/format.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>

#include <algorithm>
#include <cerrno>
#include <set>
#include <tuple>

#include "addresses.h"
#include "announcer.h"
#include "gateways.h"
#include "host_settings.h"
#include "ipvlanx/datapath_abi.h"
#include "link_changes.h"
#include "link_facts.h"
#include "link_local.h"
#include "netns_finder.h"
#include "offloads.h"
#include "routes.h"
#include "socket.h"
#include "sysctl.h"

namespace ipvlanx {

namespace {

// How often a slave is followed that moves while it is looked at.
constexpr int kLookAttempts = 5;

const IfName kRelayEntrance = *IfName::parse("ipvxrelay0");
const IfName kRelayExit = *IfName::parse("ipvxrelay1");

std::string describe(const Place& place) {
  if (!place.netns) return fmt::format("interface with index {}", number(place.ifindex));
  return fmt::format("interface with index {} in the namespace with nsid {}", number(place.ifindex),
                     number(*place.netns));
}

// An answer to a change, as a Result about what was changed.
Result<void> done(const Answer<void>& answer, std::string_view what) {
  if (!answer) return refused(what, answer.error());
  return {};
}

// The name as the model takes it. A tenant can give its interface a name with control
// characters, which the kernel allows and IfName does not: they read '?'.
IfName presentable(std::string text) {
  for (char& c : text) {
    if (!IfName::parse(std::string_view{&c, 1}) && c != '.') c = '?';
  }
  const auto name = IfName::parse(text);
  return name ? *name : *IfName::parse("?");
}

// The kernel's way to say that an interface, or the namespace with this nsid, is gone.
bool is_gone(const KernelError& error) {
  return error.number == ENODEV || error.number == EINVAL;
}

class KernelLinks final : public Links {
 public:
  KernelLinks(NetlinkSocket host, NetlinkSocket for_names, HostSettings settings, Announcer announcer)
      : host_(std::move(host)),
        settings_(std::move(settings)),
        announcer_(std::move(announcer)),
        netnses_(std::move(for_names)) {}

  Result<MasterLink> master(const IfName& name) override;
  Result<MasterLink> master(IfIndex ifindex) override;
  Result<Netns> find_netns(std::string_view text) override { return netnses_.find(text); }
  std::optional<std::string> netns_name(Nsid netns) override { return netnses_.name(netns); }
  Result<UniqueFd> open_netns(Nsid netns) override { return netnses_.open(netns); }
  Result<Ends> create(const step::CreateLinks& pair) override;
  Result<void> remove(const Ends& ends) override;
  Result<void> remove(const std::vector<IfIndex>& host_ends) override;
  Result<void> settle(const std::vector<IfIndex>& host_ends, bool settled) override;
  Result<void> tidy(const std::set<IfIndex>& host_ends) override;
  Result<SlaveLink> look(IfIndex host_end) override;
  Result<std::map<SlaveId, IfIndex>> host_ends() override;
  Result<Relay> relay() override;
  Result<void> remove_relay() override;
  Result<void> tune(IfIndex master, std::optional<Mode> mode) override;
  Result<void> tune(const std::map<IfIndex, Mode>& ports) override;
  Result<void> write(const RouteRow& route) override;
  Result<void> erase(const RouteRow& route) override;
  Result<std::vector<RouteRow>> routes() override;
  Result<void> set_routed(const Ends& ends, bool routed) override;
  Result<void> set_mac(const Place& place, const MacAddress& mac) override;
  Result<void> set_up(const Place& place, bool up) override;
  Result<void> set_mtu(const Place& place, std::uint32_t mtu) override;
  Result<void> assign(const Place& place, const Prefix& prefix) override;
  Result<void> unassign(const Place& place, const Prefix& prefix) override;
  Result<void> move(const Place& place, Netns to) override;
  Result<void> announce(IfIndex master, std::optional<IfIndex> as_slave, const MacAddress& mac,
                        const IpAddress& address) override;
  Result<void> separate_link_locals(const Place& place, SlaveId id, const MacAddress& mac) override;

 private:
  // Runs `act` with a socket that may change things in this namespace.
  template <class Act>
  Result<void> within(Netns netns, Act act) {
    if (!netns) return act(host_);
    const auto target = netnses_.open(*netns);
    if (!target) return std::unexpected(target.error());
    auto socket = NetlinkSocket::open_in(*target);
    if (!socket) return std::unexpected(socket.error());
    return act(*socket);
  }

  Result<IfIndex> make_quiet(const IfName& name, bool up);
  void forget_unsettled(const IfName& host_end);
  bool is_there(IfIndex host_end);
  Result<UniqueFd> open_netns_of(Netns netns) { return netns ? netnses_.open(*netns) : host_.netns(); }
  Result<MasterLink> with_reserved(const LinkFacts& facts);
  Result<Ends> make_ready(const step::CreateLinks& pair);
  Error not_created(const step::CreateLinks& pair, const KernelError& error);

  Result<void> forward_from(IfIndex host_end, bool forward);

  NetlinkSocket host_;
  HostSettings settings_;
  Announcer announcer_;
  Relay relay_;
  std::map<IfIndex, Mode> ports_;  // that have slaves
  NetnsFinder netnses_;
};

// ----------------------------------------------------------------------- masters

Result<MasterLink> KernelLinks::master(const IfName& name) {
  const auto facts = read_link(host_, name);
  if (facts) return with_reserved(*facts);
  if (facts.error().number == ENODEV) {
    return fail(Errc::no_such_master,
                fmt::format("there is no interface '{}' in the host's namespace", name.str()));
  }
  return refused(fmt::format("read interface '{}'", name.str()), facts.error());
}

Result<MasterLink> KernelLinks::master(IfIndex ifindex) {
  const Place place{.netns = std::nullopt, .ifindex = ifindex};
  const auto facts = read_link(host_, place);
  if (facts) return with_reserved(*facts);
  if (facts.error().number == ENODEV) {
    return fail(Errc::no_such_master, fmt::format("there is no {} in the host's namespace", describe(place)));
  }
  return refused(fmt::format("read {}", describe(place)), facts.error());
}

Result<MasterLink> KernelLinks::with_reserved(const LinkFacts& facts) {
  const auto addresses = read_addresses(host_, {.netns = std::nullopt, .ifindex = facts.ifindex});
  if (!addresses) return refused(fmt::format("read the addresses of '{}'", facts.name), addresses.error());
  const auto gateways = default_gateways(host_, facts.ifindex);
  if (!gateways) return refused(fmt::format("read the routes over '{}'", facts.name), gateways.error());

  MasterLink master{.ifindex = facts.ifindex,
                    .name = presentable(facts.name),
                    .mac = facts.mac,
                    .mtu = facts.mtu,
                    .ethernet = facts.type == ARPHRD_ETHER,
                    .loopback = facts.loopback,
                    .carrier = facts.carrier,
                    .reserved = *gateways};
  for (const auto& address : *addresses) master.reserved.push_back(address.local);
  std::ranges::sort(master.reserved);
  master.reserved.erase(std::ranges::unique(master.reserved).begin(), master.reserved.end());
  return master;
}

// ----------------------------------------------------------------- a slave's links

Result<Ends> KernelLinks::create(const step::CreateLinks& pair) {
  UniqueFd netns;  // none: the container end stays in the host's namespace
  if (pair.netns) {
    auto opened = netnses_.open(*pair.netns);
    if (!opened) return std::unexpected(opened.error());
    netns = std::move(*opened);
  }
  const auto created = create_pair(host_, pair, netns);
  if (!created) {
    auto error = not_created(pair, created.error());
    if (error.code != Errc::name_in_use) forget_unsettled(host_end_name(pair.slave));
    return std::unexpected(std::move(error));
  }

  auto ends = make_ready(pair);
  // Should the removal fail too, the reason for it is still what matters.
  if (!ends) forget_unsettled(host_end_name(pair.slave));
  return ends;
}

// What is left of a pair that could not be made, or of which only the answer was lost; never
// somebody else's interface.
void KernelLinks::forget_unsettled(const IfName& host_end) {
  const auto link = read_link(host_, host_end);
  if (link && link->kind == "veth" && link->group == kUnsettledGroup) {
    std::ignore = remove_link(host_, link->ifindex);
  }
}

// The pair exists; what it needs before it may be used.
Result<Ends> KernelLinks::make_ready(const step::CreateLinks& pair) {
  const auto name = host_end_name(pair.slave);
  const auto host_end = read_link(host_, name);
  if (!host_end) return refused(fmt::format("read interface '{}'", name.str()), host_end.error());
  const auto container_end = host_end->peer;
  if (!container_end) {
    return fail(
        Errc::netns_gone,
        fmt::format("the namespace of interface '{}' went away while it was created", pair.name.str()));
  }
  const auto quiet = make_quiet(name, pair.carrier);
  if (!quiet) return std::unexpected(quiet.error());
  // To an application frames go as they are.
  if (pair.via == Via::afxdp) {
    if (auto done = complete_frames(name); !done) return std::unexpected(done.error());
  }
  if (pair.routed) {
    if (auto done = forward_from(host_end->ifindex, true); !done) return std::unexpected(done.error());
  }
  // It is down, so it has no addresses yet.
  const auto separated = within(container_end->netns, [&](NetlinkSocket& socket) {
    return done(set_addr_gen_mode(socket, container_end->ifindex, IN6_ADDR_GEN_MODE_RANDOM),
                fmt::format("make the link-local addresses of {} distinct", describe(*container_end)));
  });
  if (!separated) return std::unexpected(separated.error());
  return Ends{.host_end = host_end->ifindex, .container_end = *container_end};
}

// Nothing of the host's on it, and up if it shall be.
Result<IfIndex> KernelLinks::make_quiet(const IfName& name, bool up) {
  const auto link = read_link(host_, name);
  if (!link) return refused(fmt::format("read interface '{}'", name.str()), link.error());
  // While it is down: an interface that comes up makes its address at once.
  const auto quiet = set_addr_gen_mode(host_, link->ifindex, IN6_ADDR_GEN_MODE_NONE);
  if (!quiet) return refused(fmt::format("keep IPv6 addresses off '{}'", name.str()), quiet.error());
  const auto set = set_link_up(host_, link->ifindex, up);
  if (!set) return refused(fmt::format("set '{}' {}", name.str(), up ? "up" : "down"), set.error());
  return link->ifindex;
}

// The kernel does not say which of the two names was taken.
Error KernelLinks::not_created(const step::CreateLinks& pair, const KernelError& error) {
  const auto host_end = host_end_name(pair.slave);
  const auto what = fmt::format("create interfaces '{}' and '{}'", host_end.str(), pair.name.str());
  if (error.number != EEXIST) return {Errc::kernel_refused, sentence(what, error)};
  if (read_link(host_, host_end)) {
    return {Errc::kernel_refused, fmt::format("{}: an interface '{}' exists in the host's namespace already",
                                              what, host_end.str())};
  }
  return {Errc::name_in_use,
          fmt::format("{}: an interface '{}' exists in the namespace already", what, pair.name.str())};
}

Result<void> KernelLinks::remove(const Ends& ends) {
  // One end takes the other one with it.
  const auto removed = remove_link(host_, ends.host_end);
  if (!removed && !is_there(ends.host_end)) return {};
  return done(removed, fmt::format("remove host end with index {}", number(ends.host_end)));
}

Result<void> KernelLinks::remove(const std::vector<IfIndex>& host_ends) {
  if (auto marked = settle(host_ends, false); !marked) {
    // None goes unless all go.
    std::ignore = settle(host_ends, true);
    return marked;
  }
  const auto removed = remove_link_group(host_, kUnsettledGroup);
  const auto stays = [this](IfIndex host_end) { return is_there(host_end); };
  if (!removed && std::ranges::none_of(host_ends, stays)) return {};
  return done(removed, fmt::format("remove {} host ends", host_ends.size()));
}

// Where that cannot be said, it is.
bool KernelLinks::is_there(IfIndex host_end) {
  const auto link = read_link(host_, {.netns = std::nullopt, .ifindex = host_end});
  return link || link.error().number != ENODEV;
}

Result<void> KernelLinks::settle(const std::vector<IfIndex>& host_ends, bool settled) {
  for (const IfIndex host_end : host_ends) {
    const auto set = set_link_group(host_, host_end, settled ? kHostEndGroup : kUnsettledGroup);
    if (set || set.error().number == ENODEV) continue;
    return refused(fmt::format("change the group of host end with index {}", number(host_end)), set.error());
  }
  return {};
}

Result<void> KernelLinks::tidy(const std::set<IfIndex>& host_ends) {
  const auto links = read_links(host_, "veth");
  if (!links) return refused("list the interfaces of the host's namespace", links.error());
  for (const auto& link : *links) {
    if (link.group != kUnsettledGroup || !id_of_host_end(link.name)) continue;
    const bool ours = host_ends.contains(link.ifindex);
    const auto tidied =
        ours ? set_link_group(host_, link.ifindex, kHostEndGroup) : remove_link(host_, link.ifindex);
    if (!tidied && tidied.error().number != ENODEV) {
      return refused(fmt::format("{} interface '{}'", ours ? "settle" : "remove", link.name), tidied.error());
    }
  }
  return {};
}

Result<SlaveLink> KernelLinks::look(IfIndex host_end) {
  const auto gone = [&] {
    return fail(Errc::no_such_slave,
                fmt::format("there is no slave behind the host end with index {}", number(host_end)));
  };
  const auto what = fmt::format("look at the slave behind the host end with index {}", number(host_end));

  KernelError moving{};
  std::set<Place> places;
  for (int attempt = 0; attempt < kLookAttempts; ++attempt) {
    const auto here = read_link(host_, {.netns = std::nullopt, .ifindex = host_end});
    if (!here && here.error().number == ENODEV) return gone();
    if (!here) return refused(what, here.error());
    const auto place = here->peer;
    if (here->kind != "veth" || !place) return gone();
    places.insert(*place);

    // From here on the slave may move away, or its namespace end: then the host end
    // is asked again where it is.
    const auto there = read_link(host_, *place);
    const auto addresses = there ? read_addresses(host_, *place) : std::unexpected(there.error());
    if (!addresses) {
      moving = addresses.error();
      if (is_gone(moving)) continue;
      return refused(what, moving);
    }

    SlaveLink slave{.place = *place,
                    .name = presentable(there->name),
                    .mac = there->mac,
                    .mtu = there->mtu,
                    .up = there->up};
    std::set<Prefix> keys;
    for (const auto& address : *addresses) {
      const auto key = address.key();
      if (!address.dad_failed && keys.insert(key).second) slave.addresses.push_back(key);
      if (address.tentative || key.address != address.local) slave.silent.push_back(key.address);
    }
    std::ranges::sort(slave.silent);
    return slave;
  }
  // It has not moved: its namespace is being destroyed, and it with it.
  if (places.size() == 1) return gone();
  return refused(what, moving);
}

Result<std::map<SlaveId, IfIndex>> KernelLinks::host_ends() {
  const auto links = read_links(host_, "veth");
  if (!links) return refused("list the interfaces of the host's namespace", links.error());
  std::map<SlaveId, IfIndex> ends;
  for (const auto& link : *links) {
    if (const auto id = id_of_host_end(link.name)) ends.emplace(*id, link.ifindex);
  }
  return ends;
}

Result<Relay> KernelLinks::relay() {
  const auto created = create_relay(host_, kRelayEntrance, kRelayExit);
  if (!created && created.error().number != EEXIST) {
    return refused(fmt::format("create interfaces '{}' and '{}'", kRelayEntrance.str(), kRelayExit.str()),
                   created.error());
  }
  const auto in = make_quiet(kRelayEntrance, true);
  if (!in) return std::unexpected(in.error());
  const auto out = make_quiet(kRelayExit, true);
  if (!out) return std::unexpected(out.error());
  relay_ = {.entrance = *in, .exit = *out};
  return relay_;
}

Result<void> KernelLinks::remove_relay() {
  const auto removed = remove_link(host_, kRelayEntrance);
  if (!removed && removed.error().number == ENODEV) return {};
  return done(removed, fmt::format("remove interface '{}'", kRelayEntrance.str()));
}

// ------------------------------------------------------------- the host's routing

Result<void> KernelLinks::tune(IfIndex master, std::optional<Mode> mode) {
  auto ports = ports_;
  if (mode) {
    ports[master] = *mode;
  } else {
    ports.erase(master);
  }
  return tune(ports);
}

Result<void> KernelLinks::tune(const std::map<IfIndex, Mode>& ports) {
  if (auto done = settings_.serve(ports); !done) return done;
  ports_ = ports;
  std::map<IfIndex, IfName> masters;
  for (const auto& [master, mode] : ports) {
    if (mode != Mode::l3s) continue;
    const auto link = read_link(host_, {.netns = std::nullopt, .ifindex = master});
    if (link) masters.emplace(master, presentable(link->name));
  }
  return done(set_rules(host_, masters), "set the host's routing rules");
}

Result<void> KernelLinks::write(const RouteRow& route) {
  const auto added = add_route(host_, route);
  // EACCES: disable_ipv6 is set. ENETDOWN: the route comes with the master's carrier.
  const int error = added ? 0 : added.error().number;
  if (error == ENETDOWN || (error == EACCES && route.address.family() == Family::ipv6)) return {};
  return done(added, fmt::format("add the host's route to {}", to_string(route.address)));
}

Result<void> KernelLinks::erase(const RouteRow& route) {
  return done(remove_route(host_, route),
              fmt::format("remove the host's route to {}", to_string(route.address)));
}

Result<std::vector<RouteRow>> KernelLinks::routes() {
  auto routes = read_routes(host_);
  if (!routes) return refused("read the host's routes", routes.error());
  return *std::move(routes);
}

// Our own interface: nothing of the host's is changed. A forged source is the slave's own
// affair (rule 38), so no reverse path is asked for.
Result<void> KernelLinks::forward_from(IfIndex host_end, bool forward) {
  if (auto done = write_sysctl({Family::ipv4, host_end, "forwarding"}, forward); !done) return done;
  if (auto done = write_sysctl({Family::ipv4, host_end, "rp_filter"}, 0); !done) return done;
  const Sysctl ipv6{Family::ipv6, host_end, "force_forwarding"};
  if (!has_sysctl(ipv6)) return {};  // HostSettings has seen to it
  return write_sysctl(ipv6, forward);
}

Result<void> KernelLinks::set_routed(const Ends& ends, bool routed) {
  if (auto done = forward_from(ends.host_end, routed); !done) return done;
  const Place& place = ends.container_end;
  auto set = within(place.netns, [&](NetlinkSocket& socket) -> Result<void> {
    const auto answer = set_link_arp(socket, place.ifindex, !routed);
    if (!answer && is_gone(answer.error())) return {};
    return done(answer, fmt::format("switch ARP of {} {}", describe(place), routed ? "off" : "on"));
  });
  if (!set && set.error().code == Errc::netns_gone) return {};
  return set;
}

// ---------------------------------------------------------------- one end of them

Result<void> KernelLinks::set_mac(const Place& place, const MacAddress& mac) {
  return within(place.netns, [&](NetlinkSocket& socket) {
    return done(set_link_mac(socket, place.ifindex, mac),
                fmt::format("set the MAC address of {} to {}", describe(place), to_string(mac)));
  });
}

Result<void> KernelLinks::set_up(const Place& place, bool up) {
  return within(place.netns, [&](NetlinkSocket& socket) {
    return done(set_link_up(socket, place.ifindex, up),
                fmt::format("set {} {}", describe(place), up ? "up" : "down"));
  });
}

Result<void> KernelLinks::set_mtu(const Place& place, std::uint32_t mtu) {
  return within(place.netns, [&](NetlinkSocket& socket) {
    return done(set_link_mtu(socket, place.ifindex, mtu),
                fmt::format("set the MTU of {} to {}", describe(place), mtu));
  });
}

Result<void> KernelLinks::assign(const Place& place, const Prefix& prefix) {
  return within(place.netns, [&](NetlinkSocket& socket) {
    return done(add_address(socket, place.ifindex, prefix),
                fmt::format("add address {} to {}", to_string(prefix), describe(place)));
  });
}

Result<void> KernelLinks::unassign(const Place& place, const Prefix& prefix) {
  auto removed = within(place.netns, [&](NetlinkSocket& socket) -> Result<void> {
    const auto answer = remove_address(socket, place.ifindex, prefix);
    if (!answer) {
      // Was only the answer lost?
      const auto rest = read_addresses(socket, {.netns = std::nullopt, .ifindex = place.ifindex});
      if (rest && std::ranges::find(*rest, prefix, &InterfaceAddress::key) == rest->end()) return {};
    }
    return done(answer, fmt::format("remove address {} from {}", to_string(prefix), describe(place)));
  });
  // A namespace that is gone took its addresses along.
  if (!removed && removed.error().code == Errc::netns_gone) return {};
  return removed;
}

Result<void> KernelLinks::move(const Place& place, Netns to) {
  const auto target = open_netns_of(to);
  if (!target) return std::unexpected(target.error());
  return within(place.netns, [&](NetlinkSocket& socket) -> Result<void> {
    const auto moved = move_link(socket, place.ifindex, *target);
    const auto what = fmt::format("move {}", describe(place));
    if (moved || moved.error().number != EEXIST) return done(moved, what);

    const auto facts = read_link(socket, {.netns = std::nullopt, .ifindex = place.ifindex});
    return fail(Errc::name_in_use, fmt::format("{}: an interface {} exists in the namespace already", what,
                                               facts ? fmt::format("'{}'", facts->name) : "of its name"));
  });
}

Result<void> KernelLinks::announce(IfIndex master, std::optional<IfIndex> as_slave, const MacAddress& mac,
                                   const IpAddress& address) {
  // A number that does not fit into a mark: then the siblings are not told.
  const bool by_relay = as_slave && number(*as_slave) <= IPVX_MOST_IN_MARK;
  const std::uint32_t mark = by_relay ? IPVX_MARK_AS_SLAVE(number(*as_slave)) : 0;
  return announcer_.send(by_relay ? relay_.entrance : master, mark, mac, address);
}

Result<void> KernelLinks::separate_link_locals(const Place& place, SlaveId id, const MacAddress& mac) {
  return within(place.netns, [&](NetlinkSocket& socket) -> Result<void> {
    const auto what = fmt::format("make the link-local addresses of {} distinct", describe(place));
    const auto set = set_addr_gen_mode(socket, place.ifindex, IN6_ADDR_GEN_MODE_RANDOM);
    if (!set) return refused(what, set.error());

    const auto addresses = read_addresses(socket, {.netns = std::nullopt, .ifindex = place.ifindex});
    if (!addresses) return refused(what, addresses.error());
    const auto shared = link_local_of(mac);
    if (std::ranges::find(*addresses, shared, &InterfaceAddress::key) == addresses->end()) return {};

    // First the new one: IPv6 is never without a link-local address.
    const auto added = add_address(socket, place.ifindex, link_local_of(mac, id));
    if (!added) return refused(what, added.error());
    return done(remove_address(socket, place.ifindex, shared), what);
  });
}

}  // namespace

Result<std::unique_ptr<Links>> open_kernel_links(const std::string& settings_record) {
  auto host = NetlinkSocket::open();
  if (!host) return std::unexpected(host.error());
  auto for_names = NetlinkSocket::open();
  if (!for_names) return std::unexpected(for_names.error());
  auto socket = NetlinkSocket::open();
  if (!socket) return std::unexpected(socket.error());
  HostSettings settings{settings_record, std::move(*socket)};
  if (auto opened = settings.open(); !opened) return std::unexpected(opened.error());
  auto announcer = Announcer::open();
  if (!announcer) return std::unexpected(announcer.error());
  return std::make_unique<KernelLinks>(std::move(*host), std::move(*for_names), std::move(settings),
                                       std::move(*announcer));
}

}  // namespace ipvlanx
