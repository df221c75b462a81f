// SPDX-License-Identifier: Apache-2.0
// Which routes, error codes, event types and drop reasons has the daemon? Its own tables as JSON,
// for test_openapi.py to hold deploy/openapi.yaml against them.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "drops.h"
#include "ipvlanx/api/problem.h"
#include "ipvlanx/model/event.h"
#include "routes.h"

using namespace ipvlanx;
using nlohmann::json;

namespace {

// What has no word of its own bears another one's: the list is over.
template <class E>
std::vector<std::string> words_of(std::string_view (*word)(E)) {
  std::vector<std::string> words;
  for (int value = 0;; ++value) {
    const std::string next{word(static_cast<E>(value))};
    if (std::ranges::find(words, next) != words.end()) return words;
    words.push_back(next);
  }
}

}  // namespace

int main() {
  json routes = json::array();
  for (const auto& [method, pattern, parameters] : daemon::all_routes()) {
    routes.push_back({{"method", method}, {"path", pattern}, {"parameters", parameters}});
  }
  json codes;
  const auto words = words_of<Errc>(name);
  for (std::size_t i = 0; i < words.size(); ++i) codes[words[i]] = api::http_status(static_cast<Errc>(i));
  codes.erase("no-daemon");  // never on the wire
  fmt::print("{}\n", json{{"routes", routes},
                          {"codes", codes},
                          {"events", words_of<EventType>(to_string)},
                          {"drops", kDropReasons}}
                         .dump(1));
}
