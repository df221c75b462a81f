// SPDX-License-Identifier: Apache-2.0
// When does the work end, and who hears of it?
#pragma once

#include <chrono>
#include <memory>
#include <span>

#include "arguments.h"
#include "report.h"
#include "xsk_socket.h"

namespace ipvlanx::xsk {

// From its construction, of which it tells on stderr, SIGINT and SIGTERM end the work, not the program.
// One in a process.
class Run {
 public:
  Run(const Arguments& arguments, std::span<const std::unique_ptr<XskSocket>> sockets,
      const HeardCounts* heard);

  // False once the time is over, a signal came, or `done` frames are as many as were asked for. Says
  // each second how it goes.
  Result<bool> goes_on(std::uint64_t done);
  std::chrono::duration<double> time() const;
  // At most so many frames more.
  std::uint32_t limit(std::uint64_t done, std::uint32_t most) const;
  Result<void> summarise() const;

 private:
  Result<void> progress();

  const Arguments& arguments_;
  std::span<const std::unique_ptr<XskSocket>> sockets_;
  const HeardCounts* heard_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  Report before_;
};

}  // namespace ipvlanx::xsk
