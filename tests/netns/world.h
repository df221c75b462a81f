// SPDX-License-Identifier: Apache-2.0
// Words for tests of Links against a real kernel, in a namespace that plays the host's.
#pragma once

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <thread>
#include <tuple>

#include "catch.h"
#include "ipvlanx/netlink/kernel_links.h"
#include "ipvlanx/netlink/link_monitor.h"

namespace ipvlanx::test {

using namespace std::chrono_literals;

inline constexpr MacAddress kMac{{0x02, 0x11, 0x22, 0x33, 0x44, 0x55}};

inline void run(const std::string& command) {
  INFO(command);
  REQUIRE(std::system(command.c_str()) == 0);
}

inline std::string output_of(const std::string& command) {
  std::string text;
  auto* pipe = ::popen(command.c_str(), "r");
  for (int c = 0; (c = std::fgetc(pipe)) != EOF;) text += static_cast<char>(c);
  ::pclose(pipe);
  return text;
}

template <class T>
T need(Result<T> result) {
  INFO((result ? std::string{} : result.error().message));
  REQUIRE(result.has_value());
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

template <class T>
Errc code_of(const Result<T>& result) {
  REQUIRE(!result.has_value());
  INFO(result.error().message);
  CHECK(!result.error().message.empty());
  return result.error().code;
}

template <class Condition>
bool soon(Condition condition) {
  for (const auto end = std::chrono::steady_clock::now() + 5s; std::chrono::steady_clock::now() < end;) {
    if (condition()) return true;
    std::this_thread::sleep_for(10ms);
  }
  return false;
}

inline IfName ifname(std::string_view text) {
  return *IfName::parse(text);
}

inline Prefix prefix(std::string_view text) {
  return *Prefix::parse(text);
}

inline std::unique_ptr<Links> host_links() {
  return need(open_kernel_links("/run/ipvlanx-links-test-settings"));
}

// A namespace with a name, for the length of a test.
struct Namespace {
  explicit Namespace(std::string its_name) : name(std::move(its_name)) { run("ip netns add " + name); }
  Namespace(const Namespace&) = delete;
  ~Namespace() { std::ignore = std::system(("ip netns del " + name + " 2>/dev/null").c_str()); }
  std::string name;
};

// A slave that goes with the test.
struct Pair {
  Pair(Links& its_links, std::uint32_t number, const std::string& name, Netns netns)
      : links(its_links),
        ends(need(links.create(
            {.slave = SlaveId{number}, .name = ifname(name), .netns = netns, .mac = kMac, .mtu = 1400}))) {
    need(links.settle({ends.host_end}, true));
  }
  Pair(const Pair&) = delete;
  ~Pair() { std::ignore = links.remove(ends); }
  Links& links;
  Ends ends;
};

inline std::vector<std::string> addresses(Links& links, IfIndex host_end) {
  std::vector<std::string> texts;
  for (const auto& address : need(links.look(host_end)).addresses) texts.push_back(to_string(address));
  return texts;
}

inline std::vector<std::string> link_locals(Links& links, IfIndex host_end) {
  auto texts = addresses(links, host_end);
  std::erase_if(texts, [](const auto& text) { return !text.starts_with("fe80::"); });
  return texts;
}

inline bool has(const std::vector<std::string>& texts, const std::string& text) {
  return std::ranges::find(texts, text) != texts.end();
}

inline bool has(const Notices& notices, const Place& place) {
  return std::ranges::find(notices.places, place) != notices.places.end();
}

// A process in a network namespace that has no name.
struct Process {
  Process() {
    int ready[2];
    REQUIRE(::pipe(ready) == 0);
    pid = ::fork();
    if (pid == 0) {
      const bool done = ::unshare(CLONE_NEWNET) == 0 && ::write(ready[1], "x", 1) == 1;
      if (done) ::pause();
      ::_exit(1);
    }
    char byte = 0;
    REQUIRE(::read(ready[0], &byte, 1) == 1);
    ::close(ready[0]);
    ::close(ready[1]);
  }
  Process(const Process&) = delete;
  ~Process() { end(); }
  void end() {
    if (pid > 0) {
      ::kill(pid, SIGKILL);
      ::waitpid(pid, nullptr, 0);
    }
    pid = -1;
  }
  pid_t pid = -1;
};

}  // namespace ipvlanx::test
