// SPDX-License-Identifier: Apache-2.0
// Test runs of the programs that are attached nowhere: see Datapath::trace().
#pragma once

#include <memory>
#include <span>

#include "ipvlanx/datapath/datapath.h"

struct bpf_object;
struct trace_bpf;

namespace ipvlanx {

// Owns the second compilation of the data path's programs (bpf/trace.bpf.h), loaded with the first
// question; on the maps of the first, which it borrows.
class Tracer {
 public:
  explicit Tracer(const bpf_object* datapath);
  Tracer(Tracer&&) noexcept;
  ~Tracer();

  Result<Fate> trace(Entrance entrance, IfIndex interface, std::span<const std::uint8_t> frame);

 private:
  struct Destroy {
    void operator()(trace_bpf* skeleton) const;
  };

  Result<void> load();

  const bpf_object* datapath_;
  std::unique_ptr<trace_bpf, Destroy> skeleton_;  // none: not loaded yet
};

}  // namespace ipvlanx
