// SPDX-License-Identifier: Apache-2.0
// How a program gets to an interface's TC hooks, and stays there without us.
#pragma once

#include <string>

#include "ipvlanx/model/types.h"

namespace ipvlanx {

enum class Direction { ingress, egress };

// A place for one program: where, and the path of the link's pin; without one it is a filter.
struct Hook {
  IfIndex interface{};
  Direction direction{};
  std::string pin = {};
};

// With a pin: a TCX link, where the kernel has them (6.6 and later). Else clsact filters with
// a priority and handle of our own. Other people's programs stay.
//
// To come and to go a TCX program waits for all CPUs, some 10 ms each, and all of the
// machine's rtnetlink with it: for the few interfaces that are not a slave's own.
class Hooks {
 public:
  // Asks the kernel with one of our programs.
  static Hooks probe(int program_fd);

  // Attaches the program, or replaces the one that is attached, atomically.
  Result<void> attach(const Hook& hook, int program_fd) const;
  // Replaces the program that an earlier daemon attached. False, and nothing done, where it
  // is not there: the interface is gone, and its number may be a stranger's by now.
  Result<bool> adopt(const Hook& hook, int program_fd) const;
  // Success when it is not there, or its interface is gone.
  Result<void> detach(const Hook& hook) const;

 private:
  enum class Kind { tcx, clsact };
  explicit Hooks(Kind pinned) : pinned_(pinned) {}
  Kind kind_of(const Hook& hook) const;
  Kind pinned_;
};

}  // namespace ipvlanx
