// SPDX-License-Identifier: Apache-2.0
// The program at the masters' XDP hook (bpf/master_xdp.bpf.c), where one is wanted.
#pragma once

#include <map>
#include <mutex>
#include <string>

#include "ipvlanx/datapath/datapath.h"
#include "pins.h"

namespace ipvlanx {

// Which of its programs: in the driver, in the driver and bound to it, in the stack.
enum class XdpKind { native, bound, generic };

class MasterXdp {
 public:
  explicit MasterXdp(const Pins& pins) : pins_(pins) {}

  // Attaches this build's program, replaces the one that is there, or detaches it. Where
  // `auto_` cannot be had that is a success: TC does the same more slowly, and state() says
  // why.
  Result<void> set(IfIndex master, Xdp wanted);
  // On any thread.
  XdpState state(IfIndex master) const;

 private:
  Result<void> turn(IfIndex master, Xdp wanted) const;
  Result<void> attach(IfIndex master, XdpKind kind) const;
  std::string pin(IfIndex master) const { return pins_.link(master, "master_xdp"); }
  struct Attempt {
    Xdp wanted;
    std::string why_not;  // empty: it succeeded
  };
  bool stands(IfIndex master, Xdp wanted) const;
  void remember(IfIndex master, Attempt attempt);
  void forget(IfIndex master);

  const Pins& pins_;
  mutable std::mutex mutex_;
  std::map<IfIndex, Attempt> last_;
};

}  // namespace ipvlanx
