// SPDX-License-Identifier: Apache-2.0
// The whole life of a request: look up what it names, plan, carry out, commit.
#pragma once

#include <functional>
#include <memory>
#include <shared_mutex>
#include <span>
#include <string>
#include <vector>

#include "ipvlanx/api/requests.h"
#include "ipvlanx/base/boot_id.h"
#include "ipvlanx/control/event_log.h"
#include "ipvlanx/datapath/datapath.h"
#include "ipvlanx/model/announcements.h"
#include "ipvlanx/model/plan.h"
#include "ipvlanx/netlink/link_monitor.h"
#include "ipvlanx/netlink/links.h"

namespace ipvlanx {

struct Restored;
struct SavedPlace;
struct SavedPort;
struct SavedSlave;
struct WaitingPort;
class StateFile;

// Owns the state; borrows the two seams. One thread changes things, and needs no lock to read;
// another one may read while it holds reading(). Every change is all or nothing: on an error the kernel's
// interfaces, the data path and the state are as before.
class Controller {
 public:
  // `state_path`: the desired state's file, read by start(); a journal is beside it, which
  // each change is appended to. `boot`: when it is another one than the file's, interfaces
  // are made again.
  Controller(Links& links, Datapath& datapath, std::string state_path,
             std::string boot = boot_id().value_or(""));
  ~Controller();

  // Reads the desired state, finds its slaves in the kernel, and makes the data
  // path's tables say so. Slaves that are gone are dropped with an event; ports whose
  // masters are not there wait for them.
  Result<void> start();

  Result<SlaveId> add_slave(const api::NewSlave& request);
  // Whether the rules let it be made now; nothing is.
  Result<void> may_add_slave(const api::NewSlave& request);
  Result<void> change_slave(SlaveId id, const api::SlaveChange& request);
  Result<void> delete_slave(SlaveId id);
  Result<void> change_port(const IfName& master, const api::PortChange& request);
  Result<void> delete_port(const IfName& master);
  Result<void> flush_port(const IfName& master);
  Result<void> add_address(SlaveId id, const api::NewAddress& request);
  Result<void> delete_address(SlaveId id, const IpAddress& address);

  // Follow what the kernel says of the slaves concerned; with `lost`, of all.
  // Returns what could not be followed or, since the last call, only attempted.
  std::vector<Error> follow(const Notices& notices);

  // Sends the announcements that are due: some at a time, and without waiting for anything.
  // Returns what could not be sent.
  std::vector<Error> announce(Announcements::Time now);
  // When to call it again; nullopt: not before on_announcement() is told.
  std::optional<Announcements::Time> next_announcement() const { return announcements_.next(); }
  // Called when there is something new to announce, at once.
  void on_announcement(std::function<void()> wake) { wake_ = std::move(wake); }

  // Of slaves and ports to come.
  void set_defaults(const Defaults& defaults);

  // For as long as it is held the state stays as it is: for what is said of a thread that reads.
  std::shared_lock<std::shared_mutex> reading() const { return std::shared_lock{readers_}; }
  const State& state() const { return state_; }
  Result<SlaveStats> stats(SlaveId id);
  XdpState xdp(const Port& port);
  Result<AllStats> all_stats() { return datapath_.all_stats(); }
  // As Datapath::trace(): in the thread that changes things.
  Result<Fate> trace(Entrance entrance, IfIndex interface, std::span<const std::uint8_t> frame) {
    return datapath_.trace(entrance, interface, frame);
  }
  std::optional<std::string> netns_name(const Slave& slave);
  Result<Netns> find_netns(std::string_view text);  // as Links::find_netns(); field `netns`
  // Of a slave via afxdp: what its applications put their AF_XDP sockets into.
  Result<UniqueFd> socket_map(SlaveId id) { return datapath_.socket_map(id); }
  // Whether this accepted connection comes from the slave's network namespace.
  Result<bool> is_inside(SlaveId id, const UniqueFd& connection);
  EventLog& events() { return events_; }

 private:
  Result<AddSlave> command_of(const api::NewSlave& request);
  Result<SlaveId> run(const Command& command);
  Result<void> carry_out(Plan& plan);
  Result<void> remember(const Plan& plan);
  void restore_on_disk(const Plan& plan);
  SavedPlace saved_place(const Slave& slave);
  SavedPlace place_now(const Slave& slave, const SavedPlace& last);
  SavedPlace place_in(Nsid netns);
  void start_file(const Restored& restored);
  void return_ports();
  MasterLink master_of(const SavedPort& port);
  WaitingPort return_port(const WaitingPort& waiting);
  Result<void> return_slave(const SavedSlave& slave, MasterLink master);
  Result<void> forget_waiting(const IfName& master);
  Result<void> perform(const Step& step, Plan& plan);
  template <class Row>
  Result<void> write(const Row& row) {
    return datapath_.write(row);
  }
  template <class Row>
  Result<void> erase(const Row& row) {
    return datapath_.erase(row);
  }
  Result<void> write(const PortRow& row);
  Result<void> erase(const PortRow& row);
  Result<void> write(const RouteRow& row) { return links_.write(row); }
  Result<void> erase(const RouteRow& row) { return links_.erase(row); }
  Result<void> serve_sockets(SlaveId slave, Via via, const Place& container_end);
  Result<void> keep_sockets();
  Result<UniqueFd> open_netns(Netns netns);
  Result<void> move(const step::Move& move, Plan& plan);
  Result<void> commit(Plan& plan);
  void attempt(const Step& step, Plan& plan);
  void undo(Plan& plan, std::size_t failed);
  void queue_announcements(const std::vector<Step>& steps, const std::vector<Announcement>& news);
  void undo(const Step& step);
  void look_at_slave(SlaveId id, bool routes_too = false);
  void look_at_master(IfIndex master, std::optional<Notices::Departure> left);
  void look_again(const Place& place, Error why);
  Result<void> refresh(SlaveId id, bool routes_too);
  Result<void> refresh_master(IfIndex master);
  Result<void> part_from_master(IfIndex master, Notices::Departure departure);
  void refresh_masters();
  bool is_of_gone_slave(const Step& step);
  std::vector<SlaveId> find_masters();
  Result<void> keep_relay();
  void tell_repairs(const std::vector<Step>& steps);

  Links& links_;
  Datapath& datapath_;
  std::string state_path_;
  std::unique_ptr<StateFile> file_;
  State state_;
  mutable std::shared_mutex readers_;  // of the state; held alone only to take the next one
  Relay relay_;
  EventLog events_;
  Announcements announcements_;
  std::function<void()> wake_ = [] {};
  std::vector<Error> troubles_;  // what follow() has to report
  Notices again_;                // what it has to look at again
  std::vector<Step> owed_;       // what it has to do again
};

}  // namespace ipvlanx
