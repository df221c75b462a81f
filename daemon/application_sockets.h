// SPDX-License-Identifier: Apache-2.0
// Where packet applications ask for their slaves' socket maps: <folder>/<id>/afxdp.sock for
// each slave via afxdp, direct or not, whose folder is for its container.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>

#include "handshake.h"
#include "ipvlanx/base/asio.h"
#include "ipvlanx/control/controller.h"

namespace ipvlanx::daemon {

// Borrows context and controller. Used on the loop's thread.
class ApplicationSockets {
 public:
  static constexpr std::size_t kMostClients = 64;       // of one slave at once, and as many strangers
  static constexpr std::chrono::seconds kPatience{30};  // for a client's next message

  ApplicationSockets(boost::asio::io_context& context, Controller& controller, std::string folder);
  ~ApplicationSockets();

  // Of all slaves there are; what is there of others goes.
  Result<void> open();
  // A slave may have come or gone.
  void follow(const Event& event);
  void close();

 private:
  struct Door;
  bool is_wanted(SlaveId slave);
  Result<UniqueFd> what(Answer::With with, SlaveId slave);
  Result<void> open(SlaveId slave);
  void close(SlaveId slave);
  boost::asio::awaitable<void> accept(std::shared_ptr<Door> door);
  boost::asio::awaitable<void> serve(std::shared_ptr<Door> door, UniqueFd client);

  boost::asio::io_context& context_;
  Controller& controller_;
  std::string folder_;
  std::map<SlaveId, std::shared_ptr<Door>> doors_;
};

}  // namespace ipvlanx::daemon
