// SPDX-License-Identifier: Apache-2.0
// Which of the calls to a seam fails? Two seams may share one count.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "ipvlanx/base/result.h"

namespace ipvlanx {

enum class Fault {
  refused,  // nothing was done
  unheard,  // it was done, but the answer was lost
};

class Faults {
 public:
  bool reads_too = false;

  // The n-th call from now (1: the next).
  void fail_on(int n, Fault fault = Fault::refused) { failing_[calls_ + n] = fault; }
  void forget() { failing_.clear(); }
  int calls() const { return calls_; }
  // What failed.
  const std::vector<std::string>& failed() const { return failed_; }

  // A change, and what it does.
  template <class Act>
  auto change(const std::string& name, Errc code, Act act) -> decltype(act()) {
    const auto fault = failing_.find(++calls_);
    if (fault == failing_.end()) return act();
    if (fault->second == Fault::unheard) {
      if (auto done = act(); !done) return done;
    }
    return refuse(name, code);
  }

  // One that is never half done.
  template <class Act>
  auto whole(const std::string& name, Act act) -> decltype(act()) {
    if (!failing_.contains(++calls_)) return act();
    return refuse(name, Errc::kernel_refused);
  }

  template <class Act>
  auto read(const std::string& name, Act act) -> decltype(act()) {
    if (!reads_too || !failing_.contains(++calls_)) return act();
    return refuse(name, Errc::kernel_refused);
  }

 private:
  std::unexpected<Error> refuse(const std::string& name, Errc code) {
    failed_.push_back(name);
    return fail(code, name + ": fault " + std::to_string(calls_));
  }

  std::map<int, Fault> failing_;
  std::vector<std::string> failed_;
  int calls_ = 0;
};

}  // namespace ipvlanx
