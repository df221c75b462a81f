// SPDX-License-Identifier: Apache-2.0
// The data path as tables in memory, that fails when told to.
#pragma once

#include <memory>
#include <tuple>

#include "fakes/faults.h"
#include "ipvlanx/datapath/datapath.h"

namespace ipvlanx {

class FakeDatapath final : public Datapath {
 public:
  Tables held;
  std::set<SlaveId> sockets;  // that are served
  std::shared_ptr<Faults> faults = std::make_shared<Faults>();
  // The n-th change from now fails (1: the next); 0: none.
  void fail_on(int n) {
    faults->forget();
    if (n > 0) faults->fail_on(n);
  }
  int changes() const { return faults->calls(); }

  Result<void> write(const PortRow& row) override { return put("write port", held.ports, row); }
  Result<void> erase(const PortRow& row) override { return take("erase port", held.ports, row); }
  Result<void> write(const SlaveRow& row) override { return put("write slave", held.slaves, row); }
  Result<void> erase(const SlaveRow& row) override {
    auto done = take("erase slave", held.slaves, row);
    if (done) sockets.erase(row.slave);
    return done;
  }
  Result<void> write(const MemberRow& row) override { return put("write member", held.members, row); }
  Result<void> erase(const MemberRow& row) override { return take("erase member", held.members, row); }
  Result<void> write(const AddressRow& row) override { return put("write address", held.addresses, row); }
  Result<void> erase(const AddressRow& row) override { return take("erase address", held.addresses, row); }

  Result<void> use(const Relay&) override { return {}; }
  Result<void> serve_sockets(SlaveId slave, IfIndex, const UniqueFd&) override {
    return faults->change("serve sockets", Errc::kernel_refused, [&]() -> Result<void> {
      sockets.insert(slave);
      return {};
    });
  }
  Result<void> serve_direct(SlaveId slave) override { return serve_sockets(slave, {}, {}); }
  Result<void> end_sockets(SlaveId slave) override {
    return faults->change("end sockets", Errc::kernel_refused, [&]() -> Result<void> {
      sockets.erase(slave);
      return {};
    });
  }
  Result<std::set<SlaveId>> served() override { return sockets; }
  Result<UniqueFd> socket_map(SlaveId) override { return UniqueFd{}; }
  // What a trace says, and what it was asked, last.
  Fate fate;
  std::tuple<Entrance, IfIndex> traced_at;
  Result<Fate> trace(Entrance entrance, IfIndex interface, std::span<const std::uint8_t> frame) override {
    traced_at = {entrance, interface};
    fate.frame.assign(frame.begin(), frame.end());
    return fate;
  }
  Result<Tables> tables() override { return held; }
  AllStats counted;  // by nobody but a test
  Result<SlaveStats> stats(SlaveId slave) override { return counted.slaves[slave]; }
  Result<AllStats> all_stats() override { return counted; }
  XdpState xdp(IfIndex) override { return {}; }

 private:
  template <class Rows, class Row>
  Result<void> put(const char* name, Rows& rows, const Row& row) {
    return faults->change(name, Errc::map_full, [&]() -> Result<void> {
      rows.insert_or_assign(row.key(), row);
      return {};
    });
  }
  template <class Rows, class Row>
  Result<void> take(const char* name, Rows& rows, const Row& row) {
    return faults->change(name, Errc::kernel_refused, [&]() -> Result<void> {
      rows.erase(row.key());
      return {};
    });
  }
};

}  // namespace ipvlanx
