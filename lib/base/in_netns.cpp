// SPDX-License-Identifier: Apache-2.0
#include "ipvlanx/base/in_netns.h"

#include <sched.h>

#include <cerrno>
#include <system_error>
#include <thread>

namespace ipvlanx {

Result<void> in_netns(const UniqueFd& netns, const std::function<void()>& act) {
  Result<void> been = {};
  try {
    std::thread{[&] {
      if (::setns(netns.get(), CLONE_NEWNET) != 0) {
        been = kernel_error("enter a network namespace", errno);
      } else {
        act();
      }
    }}.join();
  } catch (const std::system_error& no_thread) {
    return kernel_error("start a thread for a network namespace", no_thread.code().value());
  }
  return been;
}

}  // namespace ipvlanx
