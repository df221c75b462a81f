// SPDX-License-Identifier: Apache-2.0
#include "check.h"
#include "print.h"

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <linux/bpf.h>
#include <linux/pkt_cls.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <system_error>
#include <thread>

#include "catch.h"

namespace ipvlanx::test {

namespace {

using namespace std::chrono_literals;

constexpr auto kPatience = 1000ms;  // for what must come; the usual wait is microseconds
constexpr int kNext = -1;

Verdict of(Fate fate) {
  return {.fate = fate, .slave = {}, .reason = {}, .copies = {}, .source = {}, .longer_lived = false};
}

int returned_by(Fate fate) {
  if (fate == Fate::passed_to_host || fate == Fate::through_stack || fate == Fate::handed_over) return kNext;
  return fate == Fate::dropped ? TC_ACT_SHOT : TC_ACT_REDIRECT;
}

// RFC 1624: the checksum's difference is the TTL's, in its half of a word.
void add_life(Bytes& frame) {
  constexpr std::size_t kTtl = kEthernet + 8, kChecksum = kEthernet + 10, kHopLimit = kEthernet + 7;
  if (frame[kEthernet] >> 4 == 6) {
    ++frame[kHopLimit];
    return;
  }
  const std::uint32_t before = frame[kTtl]++ << 8;
  std::uint32_t sum = 0xffff & ~(frame[kChecksum] << 8 | frame[kChecksum + 1]);
  sum += (0xffff & ~before) + (before + 0x100);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  sum = 0xffff & ~sum;
  frame[kChecksum] = static_cast<std::uint8_t>(sum >> 8);
  frame[kChecksum + 1] = static_cast<std::uint8_t>(sum);
}

Bytes leaving(Bytes frame, const Verdict& verdict) {
  if (verdict.source) std::ranges::copy(verdict.source->bytes, frame.begin() + 6);
  if (verdict.longer_lived) add_life(frame);
  return frame;
}

void expect(Counters& counters, const std::string& name, const Bytes& frame, bool group) {
  counters[name + ".packets"] += 1;
  counters[name + ".bytes"] += frame.size();
  if (group) counters[name + ".multicast"] += 1;
}

Counters expected_counters(const Entry& entry, const Bytes& frame, const Verdict& verdict) {
  const bool group = (frame[0] & 1) != 0 && verdict.fate != Fate::to_slave;
  Counters counters;
  for (const std::string& slave : verdict.copies) expect(counters, slave + ".rx", frame, true);
  if (verdict.fate == Fate::to_slave) expect(counters, verdict.slave + ".rx", frame, false);
  if (verdict.fate == Fate::handed_over) expect(counters, entry.owner + ".rx", frame, group);
  if (verdict.fate == Fate::passed_to_host) expect(counters, entry.owner + ".passed", frame, false);
  if (verdict.fate == Fate::dropped) {
    const bool blamed = verdict.reason != "no_slave";
    counters[(blamed ? entry.owner : "nobody") + ".drop." + verdict.reason] = 1;
    if (blamed) counters[entry.owner + (entry.to_slave() ? ".rx" : ".tx") + ".dropped"] = 1;
  } else if (entry.of_slave()) {
    expect(counters, entry.owner + ".tx", frame, group);
  }
  return counters;
}

std::uint64_t sum(const Counters& counters, std::string_view ending) {
  std::uint64_t total = 0;
  for (const auto& [name, value] : counters)
    if (name.ends_with(ending)) total += value;
  return total;
}

// Whatever the row expects: one run of a hook ends in one counter, copies apart.
std::uint64_t ends(const Entry& entry, const Counters& counted) {
  std::uint64_t drops = 0;
  for (const char* reason : {"truncated", "pause", "no_slave", "private", "group", "not_ip", "host"})
    drops += sum(counted, std::string{".drop."} + reason);
  if (entry.of_slave()) return sum(counted, ".tx.packets") + sum(counted, ".passed.packets") + drops;
  const std::uint64_t unicast = sum(counted, ".rx.packets") - sum(counted, ".rx.multicast");
  return unicast + sum(counted, ".passed.packets") + sum(counted, ".tx.packets") + drops;
}

std::string master_of(const Given& given, const Entry& entry) {
  return entry.of_slave() ? given.master_of(entry.owner) : entry.owner;
}

Heard expected_ears(const Given& given, const Entry& entry, const Bytes& frame, const Verdict& verdict) {
  Heard heard;
  for (const std::string& slave : verdict.copies) heard[slave].push_back(frame);
  if (verdict.fate == Fate::to_slave) heard[verdict.slave].push_back(frame);
  if (verdict.fate == Fate::to_wire) heard["wire of " + master_of(given, entry)].push_back(frame);
  if (verdict.fate == Fate::to_host || verdict.fate == Fate::passed_to_host)
    heard["host of " + master_of(given, entry)].push_back(frame);
  if (verdict.fate == Fate::through_stack)
    heard[(entry.of_slave() ? "stack behind " : "host of ") + entry.owner].push_back(frame);
  return heard;
}

// The counters of a real frame may be read before its last softirq is over.
Counters counted_since(Given& given, const Counters& before, const Counters& expected) {
  const auto end = std::chrono::steady_clock::now() + kPatience;
  for (;;) {
    const Counters counted = difference(before, given.counters());
    if (counted == expected || std::chrono::steady_clock::now() > end) return counted;
    std::this_thread::sleep_for(1ms);
  }
}

void check_by_test_run(Given& given, const Entry& entry, const Frame& frame, const Verdict& verdict) {
  const Bytes in = frame.bytes(entry.to, entry.from);
  const Bytes out = leaving(in, verdict);
  INFO("by a test run of " << entry.program << ": " << hex(in));

  const Counters before = given.counters();
  const Run run = test_run(given, entry, in, frame.segment());
  const Counters counted = difference(before, given.counters());
  CHECK(run.verdict == returned_by(verdict.fate));
  CHECK(hex(run.out) == hex(out));
  CHECK(run.out == out);
  CHECK(counted == expected_counters(entry, out, verdict));
  // In l3s on its way to the slave, a packet is counted where it arrives.
  const bool not_yet = verdict.fate == Fate::through_stack && !entry.of_slave();
  CHECK(ends(entry, counted) == (not_yet ? 0 : 1));

  // A redirect of a test run goes nowhere, but its copies are real.
  Heard copies;
  for (const std::string& slave : verdict.copies) copies[slave].push_back(out);
  CHECK(listen(given, copies) == copies);
}

ipvlanx::Fate::Kind traced_as(Fate fate) {
  using Kind = ipvlanx::Fate::Kind;
  switch (fate) {
    case Fate::to_slave:
      return Kind::slave;
    case Fate::to_wire:
      return Kind::wire;
    case Fate::through_stack:
      return Kind::routed;
    case Fate::dropped:
      return Kind::dropped;
    default:
      return Kind::host;
  }
}

// The same by words; and nothing happens, not even in the counters.
void check_by_trace(Given& given, const Entry& entry, const Frame& frame, const Verdict& verdict) {
  if (entry.to_slave() || frame.segment() != 0) return;  // a trace has neither
  const Bytes in = frame.bytes(entry.to, entry.from);
  INFO("by a trace at " << entry.program << ": " << hex(in));

  const Counters before = given.counters();
  const auto fate =
      given.datapath().trace(entry.of_slave() ? Entrance::host_end : Entrance::master, entry.interface, in);
  REQUIRE(fate);
  CHECK(fate->kind == traced_as(verdict.fate));
  CHECK(fate->reason == verdict.reason);
  if (verdict.fate == Fate::to_slave) CHECK(fate->slave == given.id(verdict.slave));
  CHECK(fate->copies == verdict.copies.size());
  CHECK(hex(fate->frame) == hex(leaving(in, verdict)));
  CHECK(difference(before, given.counters()).empty());
  CHECK(listen(given, {}).empty());
}

void check_by_frame(Given& given, const Entry& entry, const Frame& frame, const Verdict& verdict) {
  const Bytes in = frame.bytes(entry.to, entry.from);
  const Bytes out = leaving(in, verdict);
  INFO("as a frame into " << entry.owner << ": " << hex(in));

  Counters expected = expected_counters(entry, out, verdict);
  // The host gets a slave's frame through the master, whose own hook passes it.
  if (verdict.fate == Fate::to_host) expect(expected, master_of(given, entry) + ".passed", out, false);
  const Heard heard = expected_ears(given, entry, out, verdict);

  const Counters before = given.counters();
  entry.sender->send(in);
  CHECK(listen(given, heard) == heard);
  CHECK(counted_since(given, before, expected) == expected);
}

}  // namespace

Verdict Verdict::copied_to(std::vector<std::string> slaves) const {
  Verdict verdict = *this;
  verdict.copies = std::move(slaves);
  return verdict;
}

Verdict Verdict::with_source_mac(MacAddress mac) const {
  Verdict verdict = *this;
  verdict.source = mac;
  return verdict;
}

Verdict Verdict::with_longer_life() const {
  Verdict verdict = *this;
  verdict.longer_lived = true;
  return verdict;
}

Verdict redirected_to(std::string slave) {
  Verdict verdict = of(Fate::to_slave);
  verdict.slave = std::move(slave);
  return verdict;
}

Verdict passed_to_host() {
  return of(Fate::passed_to_host);
}
Verdict to_host() {
  return of(Fate::to_host);
}
Verdict to_wire() {
  return of(Fate::to_wire);
}
Verdict through_stack() {
  return of(Fate::through_stack);
}
Verdict handed_over() {
  return of(Fate::handed_over);
}

Verdict dropped(std::string reason) {
  Verdict verdict = of(Fate::dropped);
  verdict.reason = std::move(reason);
  return verdict;
}

Counters difference(const Counters& before, const Counters& after) {
  Counters changed;
  for (const auto& [name, value] : after) {
    const auto was = before.find(name);
    const std::uint64_t more = value - (was == before.end() ? 0 : was->second);
    if (more != 0) changed[name] = more;
  }
  return changed;
}

Run test_run(const Given& given, const Entry& entry, const Bytes& frame, unsigned segment,
             std::uint32_t repeat) {
  const UniqueFd program{bpf_obj_get((given.root() + "/progs/" + entry.program).c_str())};
  __sk_buff context{};
  context.ifindex = number(entry.interface);
  context.ingress_ifindex = entry.came_by;
  context.gso_size = segment;
  Bytes out(64 * 1024);
  bpf_test_run_opts options{};
  options.sz = sizeof options;
  options.data_in = frame.data();
  options.data_size_in = static_cast<std::uint32_t>(frame.size());
  options.data_out = out.data();
  options.data_size_out = static_cast<std::uint32_t>(out.size());
  options.ctx_in = &context;
  options.ctx_size_in = sizeof context;
  options.repeat = static_cast<int>(repeat);
  if (const int error = bpf_prog_test_run_opts(program.get(), &options); error < 0)
    throw std::system_error(-error, std::generic_category(), "test run of " + entry.program);
  out.resize(options.data_size_out);
  return {static_cast<int>(options.retval), out};
}

Heard listen(const Given& given, const Heard& expected) {
  Heard heard;
  const auto hear = [&](const Ear& ear, std::chrono::milliseconds patience) {
    auto frame = ear.socket.receive(patience);
    if (frame) heard[ear.name].push_back(std::move(*frame));
    return frame.has_value();
  };
  const auto end = std::chrono::steady_clock::now() + kPatience;
  const auto all_here = [&] {
    return std::ranges::all_of(expected,
                               [&](const auto& e) { return heard[e.first].size() >= e.second.size(); });
  };
  for (;;) {
    for (const Ear& ear : given.ears()) {
      while (hear(ear, 0ms)) {
      }
    }
    if (all_here() || std::chrono::steady_clock::now() > end) break;
    std::this_thread::sleep_for(1ms);
  }
  std::erase_if(heard, [](const auto& ear) { return ear.second.empty(); });
  return heard;
}

void check(Given& given, const Entry& entry, const Frame& frame, const Verdict& verdict,
           std::source_location row) {
  INFO("row of line " << row.line());
  check_by_test_run(given, entry, frame, verdict);
  check_by_trace(given, entry, frame, verdict);
  check_by_frame(given, entry, frame, verdict);
}

void check_run(Given& given, const Entry& entry, const Frame& frame, const Verdict& verdict,
               std::source_location row) {
  INFO("row of line " << row.line());
  check_by_test_run(given, entry, frame, verdict);
  check_by_trace(given, entry, frame, verdict);
}

void check_frame(Given& given, const Entry& entry, const Frame& frame, const Verdict& verdict,
                 std::source_location row) {
  INFO("row of line " << row.line());
  check_by_frame(given, entry, frame, verdict);
}

}  // namespace ipvlanx::test
