// SPDX-License-Identifier: Apache-2.0
// The seam to the kernel's interfaces: what the controller asks of them, in its
// own words. Implemented by KernelLinks (rtnetlink) and by a fake in the tests.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "ipvlanx/base/unique_fd.h"
#include "ipvlanx/model/plan.h"

namespace ipvlanx {

// Used on one thread, but for netns_name(), which another one may call meanwhile. "Host" is the network
// namespace the implementation was opened in. Errors without a code of their own are kernel_refused with the
// errno's text.
class Links {
 public:
  virtual ~Links() = default;

  // no_such_master when there is no such interface in the host's namespace.
  virtual Result<MasterLink> master(const IfName& name) = 0;
  // The same of a master known by index (reserved addresses included).
  virtual Result<MasterLink> master(IfIndex ifindex) = 0;

  // From the user's words (DESIGN.md section 5): contains '/': a path; all digits:
  // a pid; else a name in /run/netns. netns_gone, not_a_netns. The host's own
  // namespace gives nullopt.
  virtual Result<Netns> find_netns(std::string_view text) = 0;
  // For output: the name in /run/netns, else a path, else nothing.
  virtual std::optional<std::string> netns_name(Nsid netns) = 0;

  virtual Result<UniqueFd> open_netns(Nsid netns) = 0;  // netns_gone

  // A veth pair, not settled yet: host end `ipvx<id>`, up if the master has a carrier,
  // without IPv6 addresses of its own; container end `name` in `netns`, down, with distinct link-locals; both
  // with the master's MAC, and as set_routed() says. To a slave via afxdp frames go complete,
  // with nothing left to a hardware. name_in_use, netns_gone.
  virtual Result<Ends> create(const step::CreateLinks& pair) = 0;
  // Both ends. Success when they are gone already.
  virtual Result<void> remove(const Ends& ends) = 0;

  // The same of many slaves, in one request by interface group: removing an interface
  // waits for all CPUs, once for all of them.
  virtual Result<void> remove(const std::vector<IfIndex>& host_ends) = 0;

  // See step::Settle. Settled host ends are in group 6970. Success for those that are gone.
  virtual Result<void> settle(const std::vector<IfIndex>& host_ends, bool settled) = 0;
  // At start: these are all there are. Settles them, and removes others that were not settled.
  virtual Result<void> tidy(const std::set<IfIndex>& host_ends) = 0;

  // The container end behind this host end, wherever it is now, and its addresses;
  // no_such_slave when it is gone.
  virtual Result<SlaveLink> look(IfIndex host_end) = 0;
  // All host ends in the host's namespace that bear one of our names.
  virtual Result<std::map<SlaveId, IfIndex>> host_ends() = 0;

  // The pair that broadcasts are relayed through, `ipvxrelay0` and `ipvxrelay1`, up and
  // without addresses; made where it is missing.
  virtual Result<Relay> relay() = 0;
  virtual Result<void> remove_relay() = 0;  // success when it is gone already

  // What a port with slaves needs of the host in this mode; nullopt: there is none any more.
  // In l2, that the master receives all multicast; else forwarding, and in l3s that what the
  // master brings asks the port's routes first. What is changed of the host's settings is
  // remembered on disk and given back when no port needs it. Again, when the master's name
  // has changed.
  virtual Result<void> tune(IfIndex master, std::optional<Mode> mode) = 0;
  // At start: these ports are all that have slaves.
  virtual Result<void> tune(const std::map<IfIndex, Mode>& ports) = 0;

  // The host's route to a slave's address: proto 155, by the host end. Success when it is
  // there already / gone already, and for IPv6 where the host has none.
  virtual Result<void> write(const RouteRow& route) = 0;
  virtual Result<void> erase(const RouteRow& route) = 0;
  // All with that number.
  virtual Result<std::vector<RouteRow>> routes() = 0;

  // See step::SetRouted. A slave that is gone needs nothing: success.
  virtual Result<void> set_routed(const Ends& ends, bool routed) = 0;
  virtual Result<void> set_mac(const Place& place, const MacAddress& mac) = 0;
  virtual Result<void> set_up(const Place& place, bool up) = 0;
  virtual Result<void> set_mtu(const Place& place, std::uint32_t mtu) = 0;
  // Success when it is there already / gone already. Without duplicate address
  // detection: the port knows its addresses.
  virtual Result<void> assign(const Place& place, const Prefix& prefix) = 0;
  virtual Result<void> unassign(const Place& place, const Prefix& prefix) = 0;
  virtual Result<void> move(const Place& place, Netns to) = 0;
  // Tells whose MAC address this is, by an ARP announcement or an unsolicited neighbour
  // advertisement: to the wire, out of the master, or as the broadcast of the slave with this
  // host end, which its siblings get, too. Best effort, without waiting: where an interface
  // is down or gone nobody is told, and that is a success.
  virtual Result<void> announce(IfIndex master, std::optional<IfIndex> as_slave, const MacAddress& mac,
                                const IpAddress& address) = 0;
  // Rule 48: addrgenmode random, so that link-local addresses made from now on
  // differ; one made from the shared MAC already is replaced by one with the
  // slave's number in it, as ipvlan's (addrconf_ifid_eui48()).
  virtual Result<void> separate_link_locals(const Place& place, SlaveId id, const MacAddress& mac) = 0;
};

}  // namespace ipvlanx
