// SPDX-License-Identifier: Apache-2.0
#include "run.h"

#include <fmt/format.h>
#include <signal.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <initializer_list>

namespace ipvlanx::xsk {

namespace {

constexpr std::chrono::duration<double> kTick{1};

volatile sig_atomic_t stopped = 0;

void stop(int) {
  stopped = 1;
}

// No SA_RESTART: poll() returns.
void stop_on_signals() {
  struct sigaction action{};
  action.sa_handler = stop;
  for (const int number : {SIGINT, SIGTERM}) sigaction(number, &action, nullptr);
}

}  // namespace

Run::Run(const Arguments& arguments, std::span<const std::unique_ptr<XskSocket>> sockets,
         const HeardCounts* heard)
    : arguments_(arguments), sockets_(sockets), heard_(heard) {
  stop_on_signals();
  for (const auto& socket : sockets) {
    before_.sockets.push_back({.interface = socket->interface().name, .queue = socket->queue()});
    fmt::print(stderr, "ready: {} queue {}, {}\n", socket->interface().name, socket->queue(),
               socket->is_zero_copy() ? "zero copy" : "copying");
  }
}

std::chrono::duration<double> Run::time() const {
  return std::chrono::steady_clock::now() - start_;
}

Result<bool> Run::goes_on(std::uint64_t done) {
  const auto now = time();
  if (now - before_.time >= kTick) {
    if (auto said = progress(); !said) return std::unexpected(said.error());
  }
  return !stopped && !(arguments_.seconds && now >= *arguments_.seconds) &&
         !(arguments_.count && done >= *arguments_.count);
}

std::uint32_t Run::limit(std::uint64_t done, std::uint32_t most) const {
  if (!arguments_.count) return most;
  return static_cast<std::uint32_t>(std::min<std::uint64_t>(most, *arguments_.count - done));
}

Result<void> Run::progress() {
  auto now = report_of(sockets_, time(), heard_);
  if (!now) return std::unexpected(now.error());
  fmt::print(stderr, "{}", arguments_.json ? as_json(*now, false) : progress_text(*now, before_));
  before_ = *std::move(now);
  return {};
}

Result<void> Run::summarise() const {
  const auto now = report_of(sockets_, time(), heard_);
  if (!now) return std::unexpected(now.error());
  const auto text = arguments_.json ? as_json(*now, true) : summary_text(*now);
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    return kernel_error("stdout", errno);
  }
  return {};
}

}  // namespace ipvlanx::xsk
