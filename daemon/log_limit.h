// SPDX-License-Identifier: Apache-2.0
// How often may the same be said? A tenant can make things happen as often as it likes.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace ipvlanx::daemon {

// Of each kind and subject kBurst at once, and one each kInterval after that. Pure.
class LogLimit {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::uint32_t kBurst = 20;
  static constexpr std::chrono::seconds kInterval{2};
  // With more subjects than that at a time, the further ones of a kind share one account.
  static constexpr std::size_t kMostSubjects = 1024;

  // How many of them have not been said since the last one that was; nothing: this one is
  // not to be said either.
  std::optional<std::uint64_t> admit(const std::string& kind, const std::string& subject,
                                     Clock::time_point now);

  struct Unsaid {
    std::string kind;
    std::string subject;
    std::uint64_t count = 0;
  };
  // What nothing came after that would have told it. It is told now.
  std::vector<Unsaid> take_unsaid();

 private:
  struct Account {
    Clock::time_point paid_until{};  // at kBurst intervals from now nothing is left
    std::uint64_t unsaid = 0;
  };

  Account& account(const std::string& kind, const std::string& subject, Clock::time_point now);

  std::map<std::pair<std::string, std::string>, Account> accounts_;
};

}  // namespace ipvlanx::daemon
