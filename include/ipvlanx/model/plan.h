// SPDX-License-Identifier: Apache-2.0
// Every rule of ipvlan, as a pure function:
//
//     plan(state, command) -> the steps that make it so, or why it may not be
//
// The controller executes the steps through its two seams and commits
// `applied(state, plan)`; a failed step is undone by the inverses of the done ones.
#pragma once

#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "ipvlanx/model/announcements.h"
#include "ipvlanx/model/event.h"
#include "ipvlanx/model/state.h"
#include "ipvlanx/model/tables.h"

namespace ipvlanx {

// ---------------------------------------------------------------- what was seen

// A master as the kernel describes it.
struct MasterLink {
  IfIndex ifindex{};
  IfName name;
  MacAddress mac;
  std::uint32_t mtu = 0;
  bool ethernet = false;  // ARPHRD_ETHER
  bool loopback = false;
  bool carrier = true;  // IFF_LOWER_UP
  // Addresses no slave may take: the master's own and the host's default gateways.
  std::vector<IpAddress> reserved = {};
};

// A slave's container end as the kernel describes it.
struct SlaveLink {
  Place place;
  IfName name;
  MacAddress mac;
  std::uint32_t mtu = 0;
  bool up = false;
  // By ipvlan's key: of IPv4 the peer's address where there is one (rule 43).
  std::vector<Prefix> addresses = {};
  std::vector<IpAddress> silent = {};  // of them, in their own order: see Slave
  bool operator==(const SlaveLink&) const = default;
};

// --------------------------------------------------------------------- commands

struct AddSlave {
  MasterLink master;
  IfName name;
  Netns netns = {};
  std::optional<Mode> mode = {};
  std::optional<Flag> flag = {};
  std::optional<std::uint32_t> mtu = {};
  Via via = Via::veth;
  std::optional<AddrPolicy> addr_policy = {};
  std::optional<std::uint32_t> max_addresses = {};
  // Where there are any, they are put on the interface and it is brought up; not so where it has
  // an owner.
  std::vector<Prefix> addresses = {};
  std::string owner = {};
  // Of a slave that returns after a reboot: as it was.
  std::optional<SlaveId> id = {};
  std::optional<bool> up = {};
};

struct ChangeSlave {
  SlaveId id{};
  std::optional<Mode> mode = {};
  std::optional<Flag> flag = {};
  std::optional<Netns> netns = {};  // the inner nullopt: the host's namespace
  std::optional<std::uint32_t> mtu = {};
  std::optional<bool> up = {};
  std::optional<AddrPolicy> addr_policy = {};
  std::optional<std::uint32_t> max_addresses = {};
};

struct DeleteSlave {
  SlaveId id{};
};

struct AddAddress {
  SlaveId id{};
  Prefix prefix;
  std::vector<IpAddress> reserved = {};  // as in MasterLink
};

struct DeleteAddress {
  SlaveId id{};
  IpAddress address;
};

// Makes the port if there is none. Mode and flag are of all its slaves.
struct ChangePort {
  MasterLink master;
  std::optional<Mode> mode = {};
  std::optional<Flag> flag = {};
  std::optional<bool> strict_private = {};
  std::optional<bool> announce = {};
  std::optional<Xdp> xdp = {};
};

// With all its slaves.
struct DeletePort {
  IfIndex master{};
};

// Its slaves alone: the port and its options stay.
struct FlushPort {
  IfIndex master{};
};

// The kernel shows this slave like this now; nullopt: it is gone.
struct Observe {
  SlaveId id{};
  std::optional<SlaveLink> link = {};
  std::vector<IpAddress> reserved = {};  // asked of addresses that are new
  bool routes_too = false;               // the kernel may have taken those by the host end
};

// The kernel shows the port's master like this now; nullopt: it is gone. A port whose master
// is away gets another number, and the master's when it is back.
struct ObserveMaster {
  IfIndex master{};  // the port's
  std::optional<MasterLink> link = {};
  bool moved = false;  // gone into another namespace
};

using Command = std::variant<AddSlave, ChangeSlave, DeleteSlave, AddAddress, DeleteAddress, ChangePort,
                             DeletePort, FlushPort, Observe, ObserveMaster>;

// ------------------------------------------------------------------------ steps

namespace step {

// One row of the tables, from `before` to `after`; nullopt: no row. A port's or a
// slave's row brings its program's attachment with it, a port's also what its mode
// needs of the host (Links::tune()).
template <class Row>
struct Write {
  std::optional<Row> before;
  std::optional<Row> after;
  bool operator==(const Write&) const = default;
};

// Interfaces. The ends of a slave that does not exist yet are zero until
// CreateLinks is done; see set_ends().
struct CreateLinks {
  SlaveId slave{};
  IfName name;
  Netns netns;
  MacAddress mac;
  std::uint32_t mtu = 0;
  bool routed = false;  // see SetRouted
  bool carrier = true;  // the host end is up
  Via via = Via::veth;
  Ends ends = {};  // known once it is done
  bool operator==(const CreateLinks&) const = default;
};

struct RemoveLinks {
  SlaveId slave{};
  Ends ends;
  bool operator==(const RemoveLinks&) const = default;
};

// Of many slaves at once, by their host ends.
struct RemoveManyLinks {
  std::vector<IfIndex> host_ends;
  bool operator==(const RemoveManyLinks&) const = default;
};

// Interfaces on their way in or out are not settled: should the daemon be killed now, the
// next one removes those that the desired state does not know.
struct Settle {
  std::vector<IfIndex> host_ends;  // zero: of the slave that CreateLinks makes
  bool settled = false;
  bool operator==(const Settle&) const = default;
};

// Whether applications may take the slave's frames by AF_XDP sockets.
struct ServeSockets {
  SlaveId slave{};
  Place place;  // the container end's
  bool served = false;
  Via via = Via::afxdp;
  bool operator==(const ServeSockets&) const = default;
};

struct SetUp {
  SlaveId slave{};
  Place place;
  bool up = false;
  bool operator==(const SetUp&) const = default;
};

struct SetMtu {
  SlaveId slave{};
  Place place;
  std::uint32_t before = 0;
  std::uint32_t after = 0;
  bool operator==(const SetMtu&) const = default;
};

struct SetMac {
  SlaveId slave{};
  Place place;
  MacAddress before;
  MacAddress after;
  bool operator==(const SetMac&) const = default;
};

// Whether the host's stack routes for the slave, as in l3 and l3s: the container end
// asks nobody for MAC addresses (IFF_NOARP) and the host end forwards what comes from it.
struct SetRouted {
  SlaveId slave{};
  Ends ends;
  bool routed = false;
  bool operator==(const SetRouted&) const = default;
};

struct AssignAddress {
  SlaveId slave{};
  Place place;
  Prefix prefix;
  bool operator==(const AssignAddress&) const = default;
};

struct RemoveAddress {
  SlaveId slave{};
  Place place;
  Prefix prefix;
  bool operator==(const RemoveAddress&) const = default;
};

// Into another namespace. The kernel downs an interface that moves and takes its
// addresses away: what it shall have where it arrives is part of the step.
struct Move {
  struct Station {
    Netns netns;
    std::vector<Prefix> addresses;
    bool up = false;
    bool operator==(const Station&) const = default;
  };
  SlaveId slave{};
  Ends ends;
  Station from;
  Station to;
  bool operator==(const Move&) const = default;
};

// Give the interface IPv6 link-local addresses that differ although its MAC does not.
struct SeparateLinkLocals {
  SlaveId slave{};
  Place place;
  MacAddress mac;
  bool operator==(const SeparateLinkLocals&) const = default;
};

}  // namespace step

using Step =
    std::variant<step::Write<PortRow>, step::Write<SlaveRow>, step::Write<MemberRow>, step::Write<AddressRow>,
                 step::Write<RouteRow>, step::CreateLinks, step::RemoveLinks, step::RemoveManyLinks,
                 step::Settle, step::ServeSockets, step::SetUp, step::SetMtu, step::SetMac, step::SetRouted,
                 step::AssignAddress, step::RemoveAddress, step::Move, step::SeparateLinkLocals>;

// ------------------------------------------------------------------------- plan

struct DropPort {
  IfIndex master{};
};
struct DropSlave {
  SlaveId id{};
};
using Change = std::variant<Port, Slave, DropPort, DropSlave>;

struct Plan {
  // All or nothing, in this order.
  std::vector<Step> steps = {};
  // Of that the one which cannot be undone exactly: done when all others are, and saved.
  std::optional<Step> last = {};
  std::vector<Change> changes = {};
  std::vector<Event> events = {};
  // Tried once the rest is committed; a failure is reported and undoes nothing.
  std::vector<Step> attempts = {};
  // What the link has to hear of once the rest is committed.
  std::vector<Announcement> announcements = {};
  // The slave the command is about.
  SlaveId slave{};
  // Whether it is undone when the desired state's file cannot be written. What the kernel
  // did by itself cannot be: that is followed in any case.
  bool durable = true;
};

Result<Plan> plan(const State& state, const Command& command);
State applied(State state, const Plan& plan);

// The host end's, for a slave's: packets of the host's stack that are too long for the
// slave are cut, or their sender is told. Not below what IPv6 needs, or the interface would
// lose its IPv6 routes.
std::uint32_t host_end_mtu(std::uint32_t slave_mtu);

// Of all addresses that steer to the port's slaves, as far as they are announced.
std::vector<Announcement> all_announcements(const State& state, const Port& port, Audience audience);

// What undoes a step, or nothing where nothing needs undoing or can.
std::optional<Step> inverse(const Step& step);

// CreateLinks or Move learnt the interfaces' numbers: enter them wherever the plan
// names the slave.
void set_ends(Plan& plan, SlaveId slave, const Ends& ends);

// The steps that turn the tables from one content to another; what sets up or removes
// interfaces belongs between withdrawals and entries. No packet is steered to a slave that
// is not ready, or up the host's stack without a way from there: address rows are the first
// to go and the last to come, routes come before them and go after everything, and so does
// what a port no longer needs of the host.
struct Difference {
  std::vector<Step> withdrawals;
  std::vector<Step> entries;
  std::vector<Step> closing;
};
Difference difference(const Tables& before, const Tables& after);

}  // namespace ipvlanx
