// SPDX-License-Identifier: Apache-2.0
// Where everything of the data path is pinned: one function per path, below a root
// that tests choose for themselves. bpffs refuses '.', and masters may bear one in
// their names, so interfaces are named by index.
#pragma once

#include <string>
#include <string_view>

#include "ipvlanx/base/unique_fd.h"
#include "ipvlanx/model/types.h"

namespace ipvlanx {

class Pins {
 public:
  // Checks that the root is on the bpffs that PID 1 sees (or on any, if
  // `allow_private`), makes its folders, and locks it for this process.
  static Result<Pins> open(std::string root, bool allow_private);

  std::string map(std::string_view name) const { return root_ + "/maps/" + std::string{name}; }
  std::string program(std::string_view name) const { return root_ + "/progs/" + std::string{name}; }
  // `hook` is the program's job there, such as "master_rx".
  std::string link(IfIndex interface, std::string_view hook) const;
  // Of a slave that serves AF_XDP sockets: a folder of its own, to be given to its container.
  std::string slaves() const { return root_ + "/slaves"; }
  std::string slave(SlaveId id) const;
  // Of the one relay, whichever interface it is.
  std::string relay_link() const { return root_ + "/links/relay_rx"; }

 private:
  Pins(std::string root, UniqueFd lock) : root_(std::move(root)), lock_(std::move(lock)) {}
  std::string root_;
  UniqueFd lock_;  // of the root's folder
};

}  // namespace ipvlanx
