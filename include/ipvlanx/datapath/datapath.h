// SPDX-License-Identifier: Apache-2.0
// The seam to the BPF programs and their maps, in the model's words. Implemented
// by BpfDatapath and by a fake in the tests.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "ipvlanx/base/unique_fd.h"
#include "ipvlanx/model/tables.h"

namespace ipvlanx {

struct Traffic {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
  std::uint64_t multicast = 0;
  std::uint64_t dropped = 0;
};

struct SlaveStats {
  Traffic rx;                                       // towards the slave
  Traffic tx;                                       // from it
  std::map<std::string, std::uint64_t> drops = {};  // by reason, only what happened
};

// How much of a map is in use.
struct MapUse {
  std::string name;
  std::uint64_t entries = 0;
  std::uint64_t most = 0;
};

// Everything that is counted, at once.
struct AllStats {
  std::map<SlaveId, SlaveStats> slaves = {};
  std::map<std::string, std::uint64_t> drops = {};  // by reason: no slave is to blame
  std::vector<MapUse> maps = {};
};

// Which program of ours a master has at its XDP hook; where it has not what was wanted, why not.
struct XdpState {
  Xdp attached = Xdp::off;
  std::string why = {};
};

// Where a frame gets to the programs: from the wire at a master, or from a slave at its host end.
enum class Entrance { master, host_end };

// What would become of it.
struct Fate {
  // routed: up the host's stack, and from there wherever its routes and netfilter say.
  enum class Kind { slave, host, routed, wire, dropped };

  Kind kind{};
  std::optional<SlaveId> slave = {};  // whom it reaches; routed: where to, if that is known
  std::string reason = {};            // of dropped; a word of SlaveStats::drops
  std::uint32_t copies = 0;           // how many slaves get one, besides
  std::vector<std::uint8_t> frame;    // as it leaves the hook
};

// Used on one thread, but for stats(), all_stats() and xdp(), which another one may call meanwhile. write()
// replaces a row of the same key; erase() of an absent row is a success. Errors: map_full, kernel_refused.
class Datapath {
 public:
  virtual ~Datapath() = default;

  // The master's program is attached after its row is written, and detached before
  // the row is erased; with it the one at its XDP hook, if it needs one; so is a slave's at its host end,
  // with its counters, and what serves its sockets.
  virtual Result<void> write(const PortRow& row) = 0;
  virtual Result<void> erase(const PortRow& row) = 0;
  virtual Result<void> write(const SlaveRow& row) = 0;
  virtual Result<void> erase(const SlaveRow& row) = 0;
  virtual Result<void> write(const MemberRow& row) = 0;
  virtual Result<void> erase(const MemberRow& row) = 0;
  virtual Result<void> write(const AddressRow& row) = 0;
  virtual Result<void> erase(const AddressRow& row) = 0;

  // Attaches the program at the relay's exit, then lets broadcasts enter it.
  virtual Result<void> use(const Relay& relay) = 0;

  // Hands the slave's frames to the AF_XDP socket an application has bound to its container
  // end, and to the stack behind it while there is none. `netns` (none: the host's) is where
  // the container end is. The program and its map are known to libxdp (bpf/xsk.bpf.c), and
  // pinned as slaves/<id>/link and xsks_map; sockets outlive the daemon and its successors'
  // new programs.
  virtual Result<void> serve_sockets(SlaveId slave, IfIndex container_end, const UniqueFd& netns) = 0;
  // The same for AF_XDP sockets that are bound to the master's queues, of trusted applications.
  virtual Result<void> serve_direct(SlaveId slave) = 0;
  virtual Result<void> end_sockets(SlaveId slave) = 0;  // success where none are served
  virtual Result<std::set<SlaveId>> served() = 0;
  virtual Result<UniqueFd> socket_map(SlaveId slave) = 0;

  // Asks the programs, on the maps as they are: nothing is sent, counted or changed. `frame`: a
  // whole one, from its Ethernet header on.
  virtual Result<Fate> trace(Entrance entrance, IfIndex interface, std::span<const std::uint8_t> frame) = 0;

  // What the maps hold, for a daemon that starts and finds them.
  virtual Result<Tables> tables() = 0;
  virtual Result<SlaveStats> stats(SlaveId slave) = 0;
  virtual Result<AllStats> all_stats() = 0;
  virtual XdpState xdp(IfIndex master) = 0;
};

}  // namespace ipvlanx
