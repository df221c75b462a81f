// SPDX-License-Identifier: Apache-2.0
// Where changes are carried out, so that nobody who only reads waits for them.
#pragma once

#include <type_traits>
#include <utility>

#include "ipvlanx/base/asio.h"

namespace ipvlanx::daemon {

// One thread: what it is given is done in order, one after the other. Whoever waits for it
// goes on in its own thread, so what is not done when it ends nobody waits for any more.
class Worker {
 public:
  template <class Job>
  boost::asio::awaitable<std::invoke_result_t<Job>> run(Job job) {
    return boost::asio::co_spawn(thread_, call(std::move(job)), boost::asio::use_awaitable);
  }

 private:
  template <class Job>
  static boost::asio::awaitable<std::invoke_result_t<Job>> call(Job job) {
    co_return job();
  }

  boost::asio::thread_pool thread_{1};
};

}  // namespace ipvlanx::daemon
