// SPDX-License-Identifier: Apache-2.0
#include "ipvlanx/control/event_log.h"

#include <fmt/format.h>

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <chrono>
#include <string_view>

namespace ipvlanx {

namespace {

constexpr std::size_t kDigits = 20;

}  // namespace

Result<void> EventLog::count_in(const std::string& path) {
  UniqueFd file{::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)};
  if (!file) return kernel_error(path, errno);
  std::array<char, kDigits> text{};
  const ssize_t size = ::pread(file.get(), text.data(), text.size(), 0);
  if (size < 0) return kernel_error(path, errno);
  const auto [end, error] = std::from_chars(text.data(), text.data() + size, last_seq_);
  if (size > 0 && error != std::errc{}) return fail(Errc::bad_request, fmt::format("{}: not a number", path));
  file_ = std::move(file);
  return {};
}

void EventLog::add(Event event) {
  const std::chrono::duration<double> now = std::chrono::system_clock::now().time_since_epoch();
  run_([this, time = now.count(), event = std::move(event)] { append(time, event); });
}

void EventLog::append(double time, Event event) {
  events_.push_back({++last_seq_, time, std::move(event)});
  if (events_.size() > kCapacity) events_.pop_front();
  const std::string number = fmt::format("{:0{}}", last_seq_, kDigits);
  // A disk that is full costs watchers their numbers, not tenants their network.
  if (file_ && ::pwrite(file_.get(), number.data(), number.size(), 0) < 0) file_ = UniqueFd{};
  for (const auto& listener : listeners_) listener(events_.back());
}

Result<std::vector<LoggedEvent>> EventLog::since(std::uint64_t since) const {
  const std::uint64_t first = last_seq_ - events_.size() + 1;
  if (since + 1 < first || since > last_seq_) {
    return fail(Errc::events_gone,
                fmt::format("events after {} are not kept: {} to {} are", since, first, last_seq_), "since");
  }
  return std::vector<LoggedEvent>(events_.end() - static_cast<std::ptrdiff_t>(last_seq_ - since),
                                  events_.end());
}

}  // namespace ipvlanx
