// SPDX-License-Identifier: Apache-2.0
#include "log_limit.h"

#include <algorithm>
#include <utility>

namespace ipvlanx::daemon {

std::optional<std::uint64_t> LogLimit::admit(const std::string& kind, const std::string& subject,
                                             Clock::time_point now) {
  Account& account = this->account(kind, subject, now);
  const auto paid_until = std::max(account.paid_until, now) + kInterval;
  if (paid_until > now + kBurst * kInterval) {
    ++account.unsaid;
    return std::nullopt;
  }
  account.paid_until = paid_until;
  return std::exchange(account.unsaid, 0);
}

std::vector<LogLimit::Unsaid> LogLimit::take_unsaid() {
  std::vector<Unsaid> all;
  for (auto& [name, account] : accounts_) {
    if (account.unsaid > 0) all.push_back({name.first, name.second, std::exchange(account.unsaid, 0)});
  }
  return all;
}

LogLimit::Account& LogLimit::account(const std::string& kind, const std::string& subject,
                                     Clock::time_point now) {
  if (accounts_.size() >= kMostSubjects) {
    std::erase_if(accounts_, [now](const auto& entry) {
      return entry.second.paid_until <= now && entry.second.unsaid == 0;
    });
  }
  const auto known = accounts_.find({kind, subject});
  if (known != accounts_.end()) return known->second;
  return accounts_[{kind, accounts_.size() < kMostSubjects ? subject : ""}];
}

}  // namespace ipvlanx::daemon
