// SPDX-License-Identifier: Apache-2.0
// Can a tenant write lines of its own into the log, or too many?
#include "log.h"

#include <map>

#include "catch.h"
#include "log_limit.h"

using namespace ipvlanx;
using namespace ipvlanx::daemon;
using namespace std::chrono_literals;

namespace {

constexpr double kTime = 1795256100.25;  // 2026-11-21T10:15:00.250Z

std::map<std::string, std::string> fields(const LogEntry& entry) {
  return {entry.fields.begin(), entry.fields.end()};
}

}  // namespace

TEST_CASE("an event as text, as JSON, and with its fields") {
  const LogEntry entry = entry_of(Event{.type = EventType::address_conflict,
                                        .slave = SlaveId{7},
                                        .name = "web0",
                                        .master = "m0",
                                        .address = "10.0.0.5",
                                        .owner = SlaveId{3}});
  CHECK(as_text(entry, kTime) ==
        "2026-11-21T10:15:00.250Z info: address-conflict slave 7 'web0' on 'm0' 10.0.0.5 owned by slave 3\n");
  CHECK(as_json(entry, kTime) ==
        R"({"time":"2026-11-21T10:15:00.250Z","level":"info",)"
        R"("message":"address-conflict slave 7 'web0' on 'm0' 10.0.0.5 owned by slave 3",)"
        R"("event":"address-conflict","slave_id":"7","ifname":"web0","master":"m0","address":"10.0.0.5",)"
        R"("owner_id":"3"})"
        "\n");
  CHECK(entry_of(Event{.type = EventType::resync}).fields == LogFields{{"EVENT", "resync"}});
}

TEST_CASE("a refused request says whose, why, and of which slave") {
  const Request request{
      .method = "DELETE", .target = "/v1/slaves/7/addresses/10.0.0.5", .peer = {.uid = 1000}};
  const LogEntry entry = entry_of(request, {Errc::forbidden, "changes are for root", "id"});
  CHECK(entry.level == LogLevel::warning);
  CHECK(entry.message ==
        "refused DELETE /v1/slaves/7/addresses/10.0.0.5 of uid 1000: forbidden: changes are for root");
  CHECK(fields(entry) ==
        std::map<std::string, std::string>{
            {"CODE", "forbidden"}, {"FIELD", "id"}, {"PEER_UID", "1000"}, {"SLAVE_ID", "7"}});
  CHECK(entry_of(request, {Errc::no_such_slave, ""}).level == LogLevel::info);
  CHECK(entry_of(request, {Errc::kernel_refused, ""}).level == LogLevel::warning);
  CHECK_FALSE(fields(entry_of({.method = "GET", .target = "/v1/slaves?x=%"}, {Errc::bad_request, ""}))
                  .contains("SLAVE_ID"));
}

TEST_CASE("what a tenant names stays in its line, and has an end") {
  LogEntry entry = entry_of(Event{
      .type = EventType::slave_added, .slave = SlaveId{7}, .name = "a\nMaster\x1b[2J\xff", .detail = "\r"});
  CHECK(as_text(entry, kTime) ==
        "2026-11-21T10:15:00.250Z info: slave-added slave 7 'a\\x0aMaster\\x1b[2J\\xff': \\x0d\n");
  CHECK(as_json(entry, kTime).find(R"("ifname":"a\\x0aMaster\\x1b[2J\\xff")") != std::string::npos);

  entry.message.assign(1 << 20, 'a');
  CHECK(as_text(entry, kTime).size() < 1100);
  CHECK(clean(std::string(1000, 'a')) == std::string(1000, 'a'));
  CHECK(clean(std::string(1001, 'a')) == std::string(1000, 'a') + "...");
}

TEST_CASE("twenty of a kind, then one every two seconds, and the rest is counted") {
  LogLimit limit;
  const LogLimit::Clock::time_point start{1h};
  for (int i = 0; i < 20; ++i) CHECK(limit.admit("address-added", "7", start) == 0u);
  for (int i = 0; i < 5; ++i) CHECK_FALSE(limit.admit("address-added", "7", start));
  CHECK(limit.admit("address-added", "8", start) == 0u);
  CHECK(limit.admit("address-removed", "7", start) == 0u);

  CHECK_FALSE(limit.admit("address-added", "7", start + 1999ms));
  CHECK(limit.admit("address-added", "7", start + 2s) == 6u);
  CHECK_FALSE(limit.admit("address-added", "7", start + 3s));
  CHECK(limit.admit("address-added", "7", start + 4s) == 1u);
  for (int i = 0; i < 20; ++i) CHECK(limit.admit("address-added", "7", start + 60s) == 0u);
}

TEST_CASE("what nothing comes after is told by itself, once") {
  LogLimit limit;
  const LogLimit::Clock::time_point start{1h};
  for (int i = 0; i < 25; ++i) limit.admit("address-added", "7", start);
  limit.admit("address-added", "8", start);
  const auto unsaid = limit.take_unsaid();
  REQUIRE(unsaid.size() == 1);
  CHECK(unsaid[0].kind == "address-added");
  CHECK(unsaid[0].subject == "7");
  CHECK(unsaid[0].count == 5);
  CHECK(limit.take_unsaid().empty());
  CHECK(limit.admit("address-added", "7", start + 2s) == 0u);
}

TEST_CASE("however many subjects there are, what is kept and said has an end") {
  LogLimit limit;
  const LogLimit::Clock::time_point start{1h};
  std::size_t said = 0;
  for (std::size_t i = 0; i < 100'000; ++i) said += limit.admit("kind", std::to_string(i), start).has_value();
  CHECK(said == LogLimit::kMostSubjects + LogLimit::kBurst);
  CHECK(limit.admit("kind", "new", start + 60s));
}
