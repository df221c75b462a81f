// SPDX-License-Identifier: Apache-2.0
// What ipvlanx knows: ports, slaves, and who owns which address.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <unordered_map>
#include <utility>
#include <vector>

#include "ipvlanx/model/address_list.h"
#include "ipvlanx/model/types.h"

namespace ipvlanx {

inline constexpr std::uint32_t kDefaultMaxAddresses = 64;
inline constexpr std::uint32_t kMostMaxAddresses = 65536;
// Of a port that is new, as in the kernel.
inline constexpr Mode kDefaultMode = Mode::l3;
inline constexpr Flag kDefaultFlag = Flag::bridge;

// Where an interface is. Ifindexes are unique only within a namespace.
struct Place {
  Netns netns;
  IfIndex ifindex{};
  auto operator<=>(const Place&) const = default;
};

// The two ends of a slave's veth.
struct Ends {
  IfIndex host_end{};  // in the host's namespace
  Place container_end;
  auto operator<=>(const Ends&) const = default;
};

// What an address does, as the API says it.
enum class AddressState { active, conflict, inactive };
std::string_view to_string(AddressState state);

struct Slave {
  SlaveId id{};
  IfIndex master{};
  IfName name;  // of the container end
  Ends ends;
  MacAddress mac;
  std::uint32_t mtu = 0;
  bool up = false;         // the container end, as its namespace sets it
  std::uint32_t slot = 0;  // in the port's list for broadcasts
  Via via = Via::veth;
  AddrPolicy addr_policy = AddrPolicy::learn;
  std::uint32_t max_addresses = kDefaultMaxAddresses;
  // Who else looks after the interface, such as Docker's engine: puts the API's addresses on it
  // and sets it up, wherever it is. Empty: nobody, so the daemon does.
  std::string owner = {};
  AddressList addresses = {};
  // Of them: steered to it, but not announced. Whether it may use them is not known yet
  // (duplicate address detection), or they are the other side's of a point-to-point address.
  std::vector<IpAddress> silent = {};  // in their own order

  const Address* find(const IpAddress& address) const { return addresses.find(address); }
  bool is_silent(const IpAddress& address) const;
  bool operator==(const Slave&) const = default;
};

struct Port {
  IfIndex master{};  // or a number from kFirstAway on: the port waits for an interface of its name
  IfName name;
  Mode mode = kDefaultMode;
  Flag flag = kDefaultFlag;
  MacAddress mac;
  std::uint32_t mtu = 0;
  bool carrier = true;          // the master's; its slaves' host ends are up or down by it
  bool strict_private = false;  // private and vepa hold for broadcasts too
  bool announce = true;         // where its slaves' addresses are
  Xdp xdp = Xdp::auto_;
  bool kept = false;  // set by the user: stays without slaves
  bool operator==(const Port&) const = default;
};

// What a new slave or port gets where the request does not say it, and whether it may be direct.
struct Defaults {
  AddrPolicy addr_policy = AddrPolicy::learn;
  std::uint32_t max_addresses = kDefaultMaxAddresses;
  bool announce = true;
  bool may_be_direct = false;
};

// Which address, on which master.
struct AddressKey {
  IfIndex master{};
  IpAddress address;
  auto operator<=>(const AddressKey&) const = default;
};

}  // namespace ipvlanx

template <>
struct std::hash<ipvlanx::AddressKey> {
  std::size_t operator()(const ipvlanx::AddressKey& key) const noexcept;
};

namespace ipvlanx {

// All of it, with the indexes that make questions cheap. A value: no I/O, no
// thread of its own; the controller owns the one that counts.
class State {
 public:
  const std::map<IfIndex, Port>& ports() const { return ports_; }
  const std::map<SlaveId, Slave>& slaves() const { return slaves_; }

  const Port* port(IfIndex master) const;
  const Port* port_named(std::string_view master) const;
  const Slave* slave(SlaveId id) const;
  const Slave* slave_at(const Place& container_end) const;
  const Slave* slave_of_host_end(IfIndex host_end) const;
  std::vector<SlaveId> slaves_of(IfIndex master) const;
  std::size_t count_slaves(IfIndex master) const;
  // Whether one of them, other than `without`, takes its frames this way.
  bool has(IfIndex master, Via via, std::optional<SlaveId> without = {}) const;

  // The slaves that have this address, first come first: the first one owns it,
  // the others wait.
  const std::vector<SlaveId>& claimants(const AddressKey& key) const;
  AddressState state_of(const Slave& slave, const Address& address) const;

  // The smallest slot no slave of this master uses.
  std::uint32_t free_slot(IfIndex master) const;
  // One more than the largest slot in use by others than `without`.
  std::uint32_t slots(IfIndex master, std::optional<SlaveId> without = {}) const;
  // A number for a port whose master is away.
  IfIndex free_away() const;
  // The next id: counts up from the last new slave's and wraps, so that an id is
  // not soon reused.
  std::optional<SlaveId> free_id() const;
  SlaveId last_id() const { return last_id_; }
  void set_last_id(SlaveId id) { last_id_ = id; }
  // Of slaves that are not here yet: no new slave gets one of them.
  void reserve_ids(std::set<SlaveId> ids) { reserved_ids_ = std::move(ids); }

  const Defaults& defaults() const { return defaults_; }
  void set_defaults(const Defaults& defaults) { defaults_ = defaults; }

  void put(Port port);
  void put(Slave slave);  // one that is there stays on its master
  void drop(SlaveId id);
  void drop_port(IfIndex master);

 private:
  // The slots of one master: none is looked for among thousands.
  struct Slots {
    std::map<std::uint32_t, SlaveId> used;
    std::set<std::uint32_t> gaps;  // below the last one in use
    std::map<Via, std::set<SlaveId>> by_sockets;

    std::uint32_t end() const { return used.empty() ? 0 : used.rbegin()->first + 1; }
    void take(std::uint32_t slot, SlaveId id);
    void leave(std::uint32_t slot);
  };

  void claim(const Slave& slave, std::span<const Address> addresses);
  void release(const Slave& slave, std::span<const Address> addresses, const Slave* next);

  std::map<IfIndex, Port> ports_;
  std::map<SlaveId, Slave> slaves_;
  std::map<IfIndex, Slots> slots_;  // by master
  std::map<Place, SlaveId> by_place_;
  std::map<IfIndex, SlaveId> by_host_end_;
  std::unordered_map<AddressKey, std::vector<SlaveId>> claims_;
  SlaveId last_id_{};
  std::set<SlaveId> reserved_ids_;
  Defaults defaults_;
};

}  // namespace ipvlanx
