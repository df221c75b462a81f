// SPDX-License-Identifier: Apache-2.0
// What is given? A port and its slaves: real interfaces, real maps, real programs
// on their hooks, as the daemon would have made them.
//
//   host's namespace                              container's namespace
//   m0-wire ═══ m0            ipvx1 ═══════════════ web0
//   (outside)   (the master)  (host end)            (container end)
#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "ipvlanx/datapath/bpf_datapath.h"
#include "packet_socket.h"

namespace ipvlanx::test {

inline constexpr MacAddress kM0{{0x02, 0, 0, 0, 0, 0x10}};
inline constexpr MacAddress kM1{{0x02, 0, 0, 0, 0, 0x11}};

enum class Link { up, down };  // of the container end, as its namespace sets it

using Counters = std::map<std::string, std::uint64_t>;

// A place where frames enter a hook.
struct Entry {
  std::string program;
  IfIndex interface{};
  std::string owner;          // the master's or the slave's name
  std::uint32_t came_by = 0;  // ifindex; 0: the host itself sends it
  MacAddress to, from;
  const PacketSocket* sender = nullptr;
  bool of_slave() const { return program == "ipvx_slave_tx"; }
  bool to_slave() const { return program == "ipvx_slave_rx"; }
};

struct Ear {
  std::string name;  // "web0", "wire of m0", "host of m0", "stack behind web0"
  PacketSocket socket;
};

class Given {
 public:
  explicit Given(std::uint32_t addresses = 65536);
  ~Given();
  Given(const Given&) = delete;

  Given& port(const std::string& name, MacAddress mac = kM0, unsigned mtu = 1500);
  // Of the last port, before it has slaves.
  Given& in(Mode mode, Flag flag = Flag::bridge);
  // On the last port.
  Given& slave(const std::string& name, const std::vector<std::string>& addresses, Link link = Link::up,
               Space space = Space::container);

  Datapath& datapath() { return *datapath_; }
  Tables tables() { return datapath_->tables().value(); }
  const std::string& root() const { return options_.pin_root; }
  DatapathOptions& options() { return options_; }
  void close() { datapath_.reset(); }
  // As the next daemon does it.
  Result<void> open();

  IfIndex index(const std::string& interface) const { return index_of(Space::host, interface); }
  SlaveId id(const std::string& slave) const { return slaves_.at(slave).id; }
  const std::string& master_of(const std::string& slave) const { return slaves_.at(slave).master; }
  std::string host_end(const std::string& slave) const;
  PortRow port_row(const std::string& master) const;
  SlaveRow slave_row(const std::string& slave) const;
  MemberRow member_row(const std::string& slave) const;
  AddressRow address_row(const std::string& slave, std::string_view address) const;

  Entry wire(const std::string& master) const;
  Entry from(const std::string& slave) const;
  // What the host's stack sends to a slave; only by a test run.
  Entry stack_to(const std::string& slave) const;

  const std::vector<Ear>& ears() const { return ears_; }
  // Every counter that is not zero: "web0.rx.packets", "m0.passed", "nobody.drop.no_slave".
  Counters counters();

 private:
  struct PortPart {
    IfIndex index{};
    MacAddress mac;
    unsigned mtu = 0;
    Mode mode = Mode::l2;
    Flag flag = Flag::bridge;
    std::uint32_t slots = 0;
    std::unique_ptr<PacketSocket> wire;
  };
  struct SlavePart {
    SlaveId id{};
    std::string master;
    Space space{};
    std::uint32_t slot = 0;
    IfIndex host_end{}, container_end{};
    std::unique_ptr<PacketSocket> container;
  };

  DatapathOptions options_;
  std::unique_ptr<Datapath> datapath_;
  std::map<std::string, PortPart> ports_;
  std::map<std::string, SlavePart> slaves_;
  std::string last_port_;
  std::vector<Ear> ears_;
};

// Throws the error's sentence.
void need(const Result<void>& done);

}  // namespace ipvlanx::test
