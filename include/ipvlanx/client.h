// SPDX-License-Identifier: Apache-2.0
// How does a C++ program ask the daemon? The API of ipvlanx-api(7), typed.
//
//     #include <fmt/format.h>
//     #include <ipvlanx/client.h>
//
//     using namespace ipvlanx;
//
//     // Makes a slave behind the first port's master, and waits until its address steers.
//     Result<void> example(const std::string& socket) {
//       auto client = Client::connect(socket);
//       if (!client) return std::unexpected(client.error());
//       const auto ports = client->ports();
//       if (!ports) return std::unexpected(ports.error());
//       auto events = EventStream::open(socket);
//       if (!events) return std::unexpected(events.error());
//
//       const auto slave = client->add_slave({.master = *IfName::parse(ports->at(0).master),
//                                             .name = *IfName::parse("web0"),
//                                             .addresses = {*Prefix::parse("10.0.0.50/24")}});
//       if (!slave) return std::unexpected(slave.error());
//       while (true) {
//         const auto event = events->next(std::chrono::seconds{5});
//         if (!event) return std::unexpected(event.error());
//         if (!*event) return fail(Errc::no_daemon, "nothing happened for 5 seconds");
//         fmt::print("{} {} {}\n", (*event)->seq, (*event)->type, (*event)->address);
//         if ((*event)->type == "address-added") return client->delete_slave(SlaveId{slave->id});
//       }
//     }
//
// pkg-config ipvlanx says what to link.
#pragma once

#include <chrono>
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
  // A success when the daemon serves.
  Result<void> health();

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
  // What would happen to this packet; nothing is sent.
  Result<api::TraceReply> trace(const api::TraceRequest& request);
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

// What happens, as it happens: owns a connection of its own. Not thread-safe.
class EventStream {
 public:
  // Of what happens from now on, or from after event number `since`. Errors as Client's;
  // events_gone: some after that number are not kept any more.
  static Result<EventStream> open(std::string path, std::optional<std::uint64_t> since = {});
  EventStream(EventStream&&) noexcept;
  EventStream& operator=(EventStream&&) noexcept;
  ~EventStream();

  // The next one; nullopt: there was none within `patience`. After Errc::no_daemon it can be
  // called again, and goes on after the last one that it gave; after Errc::events_gone too much
  // has been missed: what is, has to be asked anew, and a new stream opened before.
  Result<std::optional<api::EventReply>> next(std::chrono::milliseconds patience);
  // The number of the last one it gave, or of `since`.
  std::optional<std::uint64_t> last() const;

 private:
  class Reader;
  explicit EventStream(std::unique_ptr<Reader> reader);

  std::unique_ptr<Reader> reader_;
};

}  // namespace ipvlanx
