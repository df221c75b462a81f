// SPDX-License-Identifier: Apache-2.0
// What of this host will an operator stumble over?
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace ipvlanx {

struct Finding {
  enum class State {
    ok,
    missing,  // something does not work at all
    hint,     // something works otherwise than one may expect
  };
  std::string id;  // stable, kebab-case
  State state{};
  std::string detail;  // a sentence
};

std::string_view to_string(Finding::State state);

// Of the network namespace of the calling thread. Reads, and changes nothing.
std::vector<Finding> check_host();

}  // namespace ipvlanx
