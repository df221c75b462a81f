// SPDX-License-Identifier: Apache-2.0
// The networks and endpoints of Docker's engine, as ports' slaves.
#pragma once

#include <string>
#include <vector>

#include "docker_protocol.h"
#include "ipvlanx/control/controller.h"

namespace ipvlanx::daemon {

// An endpoint is a slave that says so itself: its owner is `docker/NETWORK/ENDPOINT`, so neither
// can be there without the other one. It is made in the host's namespace, which the engine's
// daemon is in; the engine moves it, renames it, puts its addresses on it and sets it up.
// Networks are in a file: the engine tells each once, and not again when either daemon is
// started anew. It asks again where it has not heard the answer: whatever is so already is done.
//
// Borrows the controller; used by the thread that changes things alone.
class Docker {
 public:
  // `path`: of the networks' file.
  Docker(Controller& controller, std::string path);

  // What an earlier daemon knew. Of a file that cannot be understood the sentence why: it is
  // kept under another name, and without it there is no network.
  Result<void> start();

  Result<void> create_network(const docker::Network& network);
  Result<void> delete_network(const std::string& id);  // with all its endpoints
  Result<void> create_endpoint(const docker::NewEndpoint& endpoint);
  Result<void> delete_endpoint(const docker::EndpointName& endpoint);
  Result<docker::Joined> join(const docker::EndpointName& endpoint) const;

 private:
  Result<const docker::Network*> find(const std::string& id) const;
  Result<void> keep(std::vector<docker::Network> networks);
  Result<void> remove_slaves(const std::vector<SlaveId>& slaves);

  Controller& controller_;
  std::string path_;
  std::vector<docker::Network> networks_;
};

}  // namespace ipvlanx::daemon
