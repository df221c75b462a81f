// SPDX-License-Identifier: Apache-2.0
// What became of the frame? One row of a packet table: the frame goes through the
// program by a test run, and once more as a real frame through the interfaces.
#pragma once

#include <optional>
#include <source_location>
#include <string>
#include <vector>

#include "given.h"

namespace ipvlanx::test {

enum class Fate { to_slave, passed_to_host, to_host, to_wire, through_stack, handed_over, dropped };

// The frame's bytes stay as they are, unless the verdict says what changes.
struct Verdict {
  Fate fate{};
  std::string slave;                 // of to_slave
  std::string reason;                // of dropped
  std::vector<std::string> copies;   // who gets one, besides
  std::optional<MacAddress> source;  // the new source MAC
  bool longer_lived = false;         // TTL or hop limit is one more

  Verdict copied_to(std::vector<std::string> slaves) const;
  Verdict with_source_mac(MacAddress mac) const;
  Verdict with_longer_life() const;
};

Verdict redirected_to(std::string slave);
Verdict passed_to_host();  // from the wire: not ours
Verdict to_host();         // from a slave
Verdict to_wire();
Verdict through_stack();  // the host's: from a slave in l3 and l3s, or to one in l3s
Verdict handed_over();    // by the host's stack to the slave
Verdict dropped(std::string reason);

struct Run {
  int verdict = 0;
  Bytes out;
};
// With `repeat` the same row is a benchmark.
Run test_run(const Given& given, const Entry& entry, const Bytes& frame, unsigned segment = 0,
             std::uint32_t repeat = 1);

// Both ways; `check_run` only by a test run, for what a packet socket cannot send;
// `check_frame` only by a frame, for what a test run refuses: less than the IP header
// that the ethertype promises.
void check(Given& given, const Entry& entry, const Frame& frame, const Verdict& verdict,
           std::source_location row = std::source_location::current());
void check_run(Given& given, const Entry& entry, const Frame& frame, const Verdict& verdict,
               std::source_location row = std::source_location::current());
void check_frame(Given& given, const Entry& entry, const Frame& frame, const Verdict& verdict,
                 std::source_location row = std::source_location::current());

// Of two readings; only what changed.
Counters difference(const Counters& before, const Counters& after);

// What each ear hears: its name → frames.
using Heard = std::map<std::string, std::vector<Bytes>>;
Heard listen(const Given& given, const Heard& expected);

}  // namespace ipvlanx::test
