// SPDX-License-Identifier: Apache-2.0
// The data path as tables in memory, that fails when told to.
#pragma once

#include "ipvlanx/datapath/datapath.h"

namespace ipvlanx {

class FakeDatapath final : public Datapath {
 public:
  Tables held;
  // The n-th change from now fails (1: the next); 0: none.
  void fail_on(int n) { fail_in_ = n; }
  int changes() const { return changes_; }

  Result<void> write(const PortRow& row) override { return put(held.ports, row); }
  Result<void> erase(const PortRow& row) override { return take(held.ports, row); }
  Result<void> write(const SlaveRow& row) override { return put(held.slaves, row); }
  Result<void> erase(const SlaveRow& row) override { return take(held.slaves, row); }
  Result<void> write(const MemberRow& row) override { return put(held.members, row); }
  Result<void> erase(const MemberRow& row) override { return take(held.members, row); }
  Result<void> write(const AddressRow& row) override { return put(held.addresses, row); }
  Result<void> erase(const AddressRow& row) override { return take(held.addresses, row); }

  Result<void> use(const Relay&) override { return {}; }
  Result<Tables> tables() override { return held; }
  Result<SlaveStats> stats(SlaveId) override { return SlaveStats{}; }

 private:
  bool fails() {
    ++changes_;
    return fail_in_ > 0 && --fail_in_ == 0;
  }
  template <class Rows, class Row>
  Result<void> put(Rows& rows, const Row& row) {
    if (fails()) return fail(Errc::map_full, "the fake data path is full");
    rows.insert_or_assign(row.key(), row);
    return {};
  }
  template <class Rows, class Row>
  Result<void> take(Rows& rows, const Row& row) {
    if (fails()) return fail(Errc::kernel_refused, "the fake data path holds on to it");
    rows.erase(row.key());
    return {};
  }

  int fail_in_ = 0;
  int changes_ = 0;
};

}  // namespace ipvlanx
