// SPDX-License-Identifier: Apache-2.0
// How does an application's socket get into the map that the interface's XDP program looks into?
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

#include "interface.h"
#include "ipvlanx/base/result.h"
#include "ipvlanx/base/unique_fd.h"

namespace ipvlanx::xsk {

// As every libxdp application: the map of the program that the interface has. Takes CAP_SYS_ADMIN.
struct OfProgram {
  bool may_load = false;  // where it has none: libxdp's, for as long as this process lives
};
// A map that was pinned in bpffs: /sys/fs/bpf/ipvlanx/slaves/<id>/xsks_map.
struct Pinned {
  std::string path;
};
// A map that a server on a unix socket hands out: /run/ipvlanx/slaves/<id>/afxdp.sock. The protocol is
// that of the AF_XDP device plugin for Kubernetes, version 0.1, which DPDK speaks, too.
struct Served {
  std::string path;
};
// None: the socket only sends, and the interface needs no program.
struct SendOnly {};
using MapSource = std::variant<OfProgram, Pinned, Served, SendOnly>;

class XskMap {
 public:
  // Finds out first whether all is well: nothing has changed when this fails.
  static Result<XskMap> open(const MapSource& source, const Interface& interface);

  bool receives() const { return receives_; }
  // xsk_socket__create() itself finds the map, and puts the socket into it.
  bool left_to_libxdp() const { return receives_ && !map_; }
  Result<void> insert(std::uint32_t queue, int socket);

  // A server can have the right to set a socket's busy polling where its owner has not.
  bool sets_busy_poll() const { return static_cast<bool>(server_); }
  Result<void> set_busy_poll(int socket, int microseconds, int budget);

  // What a server's protocol ends with; nothing else needs it.
  Result<void> finish();

 private:
  XskMap() = default;
  Result<void> take_served(const std::string& path, const Interface& interface);

  bool receives_ = true;
  UniqueFd map_;
  UniqueFd server_;
  std::string name_;
};

}  // namespace ipvlanx::xsk
