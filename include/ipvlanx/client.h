// SPDX-License-Identifier: Apache-2.0
// How does a C++ program ask the daemon? The API of DESIGN.md section 6, typed.
//
//     auto client = ipvlanx::Client::connect("/run/ipvlanx/api.sock");
//     if (!client) return complain(client.error());
//     auto slaves = client->slaves({.master = "eth0"});
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ipvlanx/api/replies.h"
#include "ipvlanx/api/requests.h"
#include "ipvlanx/base/result.h"
#include "ipvlanx/model/types.h"

namespace ipvlanx {

// Which slaves: those for which all that is given is equal.
struct SlaveFilter {
  std::optional<std::string> master = {};
  std::optional<std::string> name = {};
  std::optional<std::string> netns = {};  // as SlaveReply says it
};

// One conversation with a daemon: owns its socket, asks one question at a time and
// waits for the answer. Not thread-safe; a thread that wants its own makes its own.
//
// Errors: what the daemon refuses comes back as the very Error it made. If there is
// no daemon, or it does not answer within 30 seconds or goes away while asked, the
// code is Errc::no_daemon: whether a change was made is unknown then. An answer that
// cannot be understood is Errc::bad_json.
class Client {
 public:
  // Fails if nobody listens at `path`. A connection that the daemon closes between
  // two questions is opened again.
  static Result<Client> connect(std::string path);
  Client(Client&&) noexcept;
  Client& operator=(Client&&) noexcept;
  ~Client();

  Result<api::VersionReply> version();

  Result<std::vector<api::PortReply>> ports();
  Result<api::PortReply> port(const std::string& master);
  Result<void> change_port(const std::string& master, const api::PortChange& request);
  // With all its slaves.
  Result<void> delete_port(const std::string& master);
  // Its slaves alone: the port and its options stay.
  Result<void> flush_port(const std::string& master);

  Result<std::vector<api::SlaveReply>> slaves(const SlaveFilter& filter = {});
  Result<api::SlaveReply> slave(SlaveId id);
  Result<api::SlaveReply> add_slave(const api::NewSlave& request);
  Result<void> change_slave(SlaveId id, const api::SlaveChange& request);
  Result<void> delete_slave(SlaveId id);

  Result<void> add_address(SlaveId id, const api::NewAddress& request);
  Result<void> delete_address(SlaveId id, const IpAddress& address);

  Result<api::StatsReply> stats(SlaveId id);
  Result<api::DropsReply> drops();
  // Prometheus' text format 0.0.4.
  Result<std::string> metrics();

  // What of the daemon's host an operator may stumble over.
  Result<std::vector<api::FindingReply>> check();

  // The document of api/document.h, as text; all or nothing.
  Result<std::string> save();
  Result<api::AppliedReply> apply(std::string document);

  // The daemon reads its settings again; bad_settings: they stay as they were.
  Result<api::ReloadedReply> reload();

 private:
  class Connection;
  explicit Client(std::unique_ptr<Connection> connection);

  std::unique_ptr<Connection> connection_;
};

}  // namespace ipvlanx
