// SPDX-License-Identifier: Apache-2.0
// What the API answers to a request, without a socket and without a kernel.
#include "routes.h"

#include <unistd.h>

#include <cstdio>

#include "../catch.h"
#include "../fakes/fake_datapath.h"
#include "../fakes/fake_links.h"
#include "docker.h"
#include "event_feed.h"
#include "target.h"
#include "world.h"

using namespace ipvlanx;
using namespace ipvlanx::daemon;
using nlohmann::json;
using namespace std::chrono_literals;

namespace {

constexpr uid_t kRoot = 0;
constexpr uid_t kSomebody = 1000;
constexpr gid_t kWriters = 2000;

// A daemon with master m0 and namespace `a`, and no slave yet.
class Given {
 public:
  Given() {
    links_.masters.emplace("m0", test::m0());
    links_.namespaces.emplace("a", Nsid{0});
    REQUIRE(controller_.start());
  }
  ~Given() { std::remove(state_path_.c_str()); }

  Reply answer(const Request& request) { return routes_.answer(request, now_); }
  Reply get(const std::string& target) {
    return answer({.method = "GET", .target = target, .peer = {kSomebody}});
  }
  Reply post(const std::string& target, const std::string& body, const std::string& key = "") {
    return answer(
        {.method = "POST", .target = target, .body = body, .idempotency_key = key, .peer = {kRoot}});
  }
  Reply patch(const std::string& target, const std::string& body) {
    return answer({.method = "PATCH", .target = target, .body = body, .peer = {kRoot}});
  }
  Reply del(const std::string& target) {
    return answer({.method = "DELETE", .target = target, .peer = {kRoot}});
  }

  // Its URL.
  std::string slave(const std::string& name, const std::string& address) {
    const Reply reply = post("/v1/slaves", R"({"master": "m0", "mode": "l2", "netns": "a", "name": ")" +
                                               name + R"(", "addresses": [")" + address + R"("]})");
    REQUIRE(reply.status == 201);
    return header(reply, "Location");
  }

  int names_looked_up_by(const std::string& target) {
    const int before = links_.names_looked_up;
    CHECK(get(target).status == 200);
    return links_.names_looked_up - before;
  }

  static std::string header(const Reply& reply, const std::string& name) {
    for (const auto& [key, value] : reply.headers) {
      if (key == name) return value;
    }
    return "";
  }

  std::size_t slaves() const { return controller_.state().slaves().size(); }
  Controller& controller() { return controller_; }
  AllStats& counted() { return datapath_.counted; }
  Fate& fate() { return datapath_.fate; }
  Entrance traced_at() const { return std::get<Entrance>(datapath_.traced_at); }
  void wait(std::chrono::minutes time) { now_ += time; }

  Result<SettingsChange> reloaded = SettingsChange{};
  int reloads = 0;

 private:
  std::string state_path_ = "/tmp/ipvlanx-routes-test-" + std::to_string(::getpid()) + ".json";
  FakeLinks links_;
  FakeDatapath datapath_;
  Controller controller_{links_, datapath_, state_path_};
  const Access access_{.writers = kWriters};
  Docker docker_{controller_, state_path_ + ".docker"};
  Routes routes_{controller_, access_, docker_, [this] {
                   ++reloads;
                   return reloaded;
                 }};
  Idempotency::Clock::time_point now_ = Idempotency::Clock::now();
};

json body(const Reply& reply) {
  CHECK(reply.content_type == "application/json");
  return json::parse(reply.body);
}

void check_problem(const Reply& reply, unsigned status, const std::string& code,
                   const std::string& field = "") {
  const json document = json::parse(reply.body);
  CAPTURE(reply.body);
  CHECK(reply.status == status);
  CHECK(reply.content_type == "application/problem+json");
  CHECK(document.at("code") == code);
  CHECK(document.at("status") == status);
  CHECK(document.value("field", "") == field);
}

}  // namespace

TEST_CASE("version and health") {
  Given given;
  const json version = body(given.get("/v1/version"));
  CHECK(version.at("api") == "v1");
  CHECK(version.at("version").is_string());
  CHECK(version.at("kernel").is_string());
  CHECK(body(given.get("/v1/health")) == json{{"status", "ok"}});
}

TEST_CASE("a slave's life") {
  Given given;
  const Reply added = given.post(
      "/v1/slaves", R"({"master": "m0", "name": "web0", "mode": "l2", "addresses": ["10.0.0.5/24"]})");
  REQUIRE(added.status == 201);
  const std::string url = Given::header(added, "Location");
  CHECK(url == "/v1/slaves/" + std::to_string(body(added).at("id").get<unsigned>()));
  CHECK(body(given.get(url)) == body(added));
  CHECK(body(given.get("/v1/slaves")) == json::array({body(added)}));

  const Reply changed = given.patch(url, R"({"mtu": 1400})");
  CHECK(changed.status == 200);
  CHECK(body(changed).at("mtu") == 1400);

  const Reply stats = given.get(url + "/stats");
  CHECK(stats.status == 200);
  CHECK(body(stats).at("rx").at("packets") == 0);

  const Reply deleted = given.del(url);
  CHECK(deleted.status == 204);
  CHECK(deleted.body.empty());
  check_problem(given.get(url), 404, "no-such-slave");
  check_problem(given.del(url), 404, "no-such-slave");
}

TEST_CASE("addresses of a slave") {
  Given given;
  const std::string url = given.slave("web0", "10.0.0.5/24");

  const Reply added = given.post(url + "/addresses", R"({"address": "2001:db8::5/64"})");
  CHECK(added.status == 201);
  CHECK(body(added).size() == 2);

  check_problem(given.del(url + "/addresses/10.0.0.9"), 404, "no-such-address");
  check_problem(given.del(url + "/addresses/10.0.0.5%2F16"), 404, "no-such-address");
  check_problem(given.del(url + "/addresses/10.0.0"), 400, "bad-prefix");
  CHECK(given.del(url + "/addresses/10.0.0.5%2f24").status == 204);
  CHECK(given.del(url + "/addresses/2001:db8:0::5").status == 204);
  CHECK(body(given.get(url)).at("addresses").empty());
}

TEST_CASE("ports are found by their URL-encoded name") {
  Given given;
  CHECK(body(given.get("/v1/ports")) == json::array());
  check_problem(given.get("/v1/ports/m0"), 404, "no-such-port");
  given.slave("web0", "10.0.0.5/24");
  CHECK(body(given.get("/v1/ports/m0")).at("slaves") == 1);
  CHECK(body(given.get("/v1/ports/%6d0")).at("mode") == "l2");
  CHECK(body(given.get("/v1/ports")).size() == 1);
}

TEST_CASE("a port is set, and deleted with its slaves") {
  Given given;
  const Reply made =
      given.patch("/v1/ports/m0", R"({"mode": "l2", "strict_private": true, "announce": false})");
  CHECK(made.status == 200);
  CHECK(body(made).at("options").at("strict_private") == true);
  CHECK(body(made).at("options").at("announce") == false);
  CHECK(body(made).at("slaves") == 0);
  given.slave("web0", "10.0.0.5/24");
  CHECK(body(given.patch("/v1/ports/m0", R"({"flag": "vepa"})")).at("flag") == "vepa");
  check_problem(given.patch("/v1/ports/m0", R"({"mtu": 9000})"), 400, "unknown-field", "mtu");
  check_problem(given.patch("/v1/ports/m9", "{}"), 422, "no-such-master", "master");
  check_problem(given.del("/v1/ports/m9"), 404, "no-such-port");
  CHECK(given.del("/v1/ports/m0").status == 204);
  CHECK(body(given.get("/v1/slaves")) == json::array());
  CHECK(body(given.get("/v1/ports")) == json::array());
}

TEST_CASE("a port is flushed of its slaves and stays") {
  Given given;
  given.slave("web0", "10.0.0.5/24");
  given.slave("web1", "10.0.0.6/24");
  const Reply flushed = given.post("/v1/ports/m0/flush", "");
  CHECK(flushed.status == 200);
  CHECK(body(flushed).at("slaves") == 0);
  CHECK(given.slaves() == 0);
  CHECK(given.post("/v1/ports/m0/flush", "{}").status == 200);
  check_problem(given.post("/v1/ports/m0/flush", R"({"all": true})"), 400, "unknown-field", "all");
  check_problem(given.post("/v1/ports/m9/flush", ""), 404, "no-such-port");
  check_problem(given.post("/v1/ports/sixteen-letters-/flush", ""), 400, "name-too-long", "master");
}

TEST_CASE("what was found of the host has the words of the command line") {
  Given given;
  const json findings = body(given.get("/v1/check"));
  REQUIRE(findings.size() > 0);
  for (const json& finding : findings) {
    CHECK(finding.size() == 3);
    CHECK(json({"ok", "missing", "hint"}).dump().contains(finding.at("state").get<std::string>()));
  }
}

TEST_CASE("drops by reason, of the host and of slaves that have any") {
  Given given;
  given.slave("web0", "10.0.0.5/24");
  given.slave("web1", "10.0.0.6/24");
  given.counted() = {.slaves = {{SlaveId{1}, {}}, {SlaveId{2}, {.drops = {{"pause", 3}}}}},
                     .drops = {{"truncated", 2}}};
  CHECK(body(given.get("/v1/drops")) == json::parse(R"({"host": {"truncated": 2}, "slaves": [
    {"id": 2, "name": "web1", "netns": "a", "master": "m0", "drops": {"pause": 3}}]})"));
}

TEST_CASE("slaves are chosen by master, name and namespace") {
  Given given;
  given.slave("web0", "10.0.0.5/24");
  given.slave("web1", "10.0.0.6/24");
  CHECK(body(given.get("/v1/slaves?master=m0")).size() == 2);
  CHECK(body(given.get("/v1/slaves?master=m1")).empty());
  CHECK(body(given.get("/v1/slaves?name=web1&netns=a")).size() == 1);
  CHECK(body(given.get("/v1/slaves?netns=b")).empty());
  check_problem(given.get("/v1/slaves?nam=web1"), 400, "unknown-field", "nam");
  check_problem(given.get("/v1/slaves?name=web0&name=web1"), 400, "bad-request", "name");
  check_problem(given.get("/v1/ports?master=m0"), 400, "unknown-field", "master");
}

TEST_CASE("each namespace is looked for once an answer, and those that no filter lets through never") {
  Given given;
  given.slave("web0", "10.0.0.5/24");
  given.slave("web1", "10.0.0.6/24");
  given.slave("web2", "10.0.0.7/24");
  CHECK(given.names_looked_up_by("/v1/slaves") == 1);
  CHECK(given.names_looked_up_by("/v1/slaves?name=web1") == 1);
  CHECK(given.names_looked_up_by("/v1/slaves?name=web9") == 0);
  CHECK(given.names_looked_up_by("/v1/slaves?master=m9") == 0);
  CHECK(given.names_looked_up_by("/v1/save") == 1);
  const SlaveStats dropped{.drops = {{"private", 1}}};
  given.counted() = {.slaves = {{SlaveId{1}, dropped}, {SlaveId{2}, dropped}}};
  CHECK(given.names_looked_up_by("/v1/drops") == 1);
}

TEST_CASE("a refused request leaves nothing behind") {
  Given given;
  check_problem(given.post("/v1/slaves", "{"), 400, "bad-json");
  check_problem(given.post("/v1/slaves", R"({"master": "m0", "name": "web0", "mode": "l4"})"), 400,
                "unknown-word", "mode");
  check_problem(given.post("/v1/slaves", R"({"master": "m9", "name": "web0"})"), 422, "no-such-master",
                "master");
  CHECK(given.slaves() == 0);
}

TEST_CASE("what is nowhere, and what is there with other methods") {
  Given given;
  for (const char* target : {"/", "/v1", "/v1/", "/v2/version", "/v1/slaves/", "/v1/slaves/1/", "/v1//slaves",
                             "/v1/slaves/1/addresses/10.0.0.5/24"}) {
    CAPTURE(target);
    check_problem(given.get(target), 404, "no-such-route");
  }
  const Reply reply = given.answer({.method = "PUT", .target = "/v1/slaves/1", .peer = {kRoot}});
  check_problem(reply, 405, "method-not-allowed");
  CHECK(Given::header(reply, "Allow") == "GET, PATCH, DELETE");
  check_problem(given.get("v1/slaves"), 400, "bad-request");
  check_problem(given.get("/v1/ports/%zz"), 400, "bad-request");
  check_problem(given.get("/v1/ports/%4"), 400, "bad-request");
  check_problem(given.get("/v1/ports/m0%00"), 400, "bad-request");
  check_problem(given.get(std::string{"/v1/ports/m0\0", 14}), 400, "bad-request");
}

TEST_CASE("whoever may connect may look; root and the write group may change") {
  Given given;
  const std::string url = given.slave("web0", "10.0.0.5/24");
  CHECK(given.get(url).status == 200);
  for (const Peer& peer : {Peer{}, Peer{kSomebody}, Peer{kSomebody, {0, kWriters + 1}}}) {
    for (const char* method : {"DELETE", "PATCH"}) {
      check_problem(given.answer({.method = method, .target = url, .peer = peer}), 403, "forbidden");
    }
    // Whatever it says, it is not read.
    check_problem(given.answer({.method = "POST", .target = "/v1/slaves", .body = "{", .peer = peer}), 403,
                  "forbidden");
  }
  CHECK(given.slaves() == 1);
  CHECK(given.answer({.method = "DELETE", .target = url, .peer = {kSomebody, {0, kWriters}}}).status == 204);
  CHECK(given.slaves() == 0);
}

TEST_CASE("what would happen to a packet may be asked by whoever may connect") {
  Given given;
  const std::string url = given.slave("web0", "10.0.0.5/24");
  const auto trace = [&](const std::string& fields) {
    return given.answer({.method = "POST",
                         .target = "/v1/trace",
                         .body = R"({"master": "m0", "dst": "10.0.0.9", )" + fields + "}",
                         .peer = {kSomebody}});
  };
  given.fate() = {.kind = Fate::Kind::wire, .copies = 3};
  const json said = body(trace(R"("direction": "tx", "slave": 1)"));
  CHECK(said.at("verdict") == "wire");
  CHECK(said.at("slave").is_null());
  CHECK(said.at("reason").is_null());
  CHECK(said.at("copies") == 3);
  CHECK(said.at("detail") == "it leaves by 'm0', and 3 slaves a copy each");
  CHECK(said.at("before") == said.at("after"));
  CHECK(given.traced_at() == Entrance::host_end);

  given.fate() = {.kind = Fate::Kind::routed, .slave = SlaveId{1}};
  const json routed = body(trace(R"("direction": "rx")"));
  CHECK(routed.at("slave") == json{{"id", 1}, {"name", "web0"}, {"netns", "a"}});
  CHECK(routed.at("detail") == "the host routes it to slave 'web0', if its netfilter lets it pass");
  CHECK(given.traced_at() == Entrance::master);

  given.fate() = {.kind = Fate::Kind::dropped, .reason = "private"};
  CHECK(body(trace(R"("direction": "rx")")).at("reason") == "private");

  // Nothing is remembered: readers have no part in the memory that changes rely on.
  const Request again{.method = "POST",
                      .target = "/v1/trace",
                      .body = R"({"master": "m0", "dst": "10.0.0.9", "direction": "rx"})",
                      .idempotency_key = "k",
                      .peer = {kSomebody}};
  CHECK(body(given.answer(again)).at("verdict") == "dropped");
  given.fate() = {.kind = Fate::Kind::host};
  CHECK(body(given.answer(again)).at("verdict") == "host");

  check_problem(trace(R"("direction": "tx", "slave": 2)"), 404, "no-such-slave", "slave");
  check_problem(trace(R"("direction": "tx")"), 400, "missing-field", "slave");
  check_problem(trace(R"("direction": "up")"), 400, "unknown-word", "direction");
  check_problem(trace(R"("direction": "rx", "slave": 1)"), 400, "bad-request", "slave");
  check_problem(trace(R"("direction": "rx", "src": "fd00::1")"), 400, "bad-request", "src");
  check_problem(trace(R"("direction": "rx", "sport": 1)"), 400, "bad-request", "sport");
  check_problem(trace(R"("direction": "rx", "proto": "udp", "dport": 65536)"), 400, "out-of-range", "dport");
}

TEST_CASE("without a write group, changes are root's") {
  CHECK(check_access({}, Act::changes, {kRoot}));
  CHECK_FALSE(check_access({}, Act::changes, {kSomebody, {0}}));
  CHECK(check_access({}, Act::looks, {kSomebody}));
}

TEST_CASE("a request is carried out once for its Idempotency-Key") {
  Given given;
  const std::string web0 = R"({"master": "m0", "name": "web0", "mode": "l2"})";
  const Reply first = given.post("/v1/slaves", web0, "key");
  const Reply again = given.post("/v1/slaves", web0, "key");
  CHECK(first.status == 201);
  CHECK(again.status == 201);
  CHECK(again.body == first.body);
  CHECK(Given::header(again, "Location") == Given::header(first, "Location"));
  CHECK(given.slaves() == 1);

  check_problem(given.post("/v1/slaves", R"({"master": "m0", "name": "web1", "mode": "l2"})", "key"), 422,
                "idempotency-mismatch");
  check_problem(given.post("/v1/slaves/1/addresses", web0, "key"), 422, "idempotency-mismatch");

  SECTION("for ten minutes") {
    given.wait(10min);
    CHECK(given.post("/v1/slaves", R"({"master": "m0", "name": "web1", "mode": "l2"})", "key").status == 201);
  }
  SECTION("but what was refused may be tried again") {
    check_problem(given.post("/v1/slaves", R"({"master": "m9", "name": "web1", "mode": "l2"})", "other"), 422,
                  "no-such-master", "master");
    CHECK(given.post("/v1/slaves", R"({"master": "m0", "name": "web1", "mode": "l2"})", "other").status ==
          201);
  }
}

TEST_CASE("requests remembered are bounded in number and bytes") {
  Idempotency idempotency;
  const auto now = Idempotency::Clock::now();
  const auto request = [](std::size_t n, std::size_t size) {
    return Request{.target = "/", .body = std::string(size, 'x'), .idempotency_key = std::to_string(n)};
  };

  for (std::size_t n = 0; n <= Idempotency::kMostReplies; ++n) idempotency.remember(request(n, 1), {}, now);
  CHECK_FALSE(idempotency.find(request(0, 1), now)->has_value());
  CHECK(idempotency.find(request(1, 1), now)->has_value());

  idempotency.remember(request(5000, Idempotency::kMostBytes), {}, now);
  CHECK_FALSE(idempotency.find(request(Idempotency::kMostReplies, 1), now)->has_value());
}

TEST_CASE("events since a number, then those to come") {
  Given given;
  const std::uint64_t before = given.controller().events().last_seq();
  given.slave("web0", "10.0.0.5/24");

  const Reply now = given.get("/v1/events");
  CHECK(now.status == 200);
  CHECK(now.then == Then::events);
  CHECK(now.body.empty());

  const Reply past = given.get("/v1/events?since=" + std::to_string(before));
  CHECK(past.then == Then::events);
  const json first = json::parse(past.body.substr(0, past.body.find('\n')));
  CHECK(first.at("seq") == before + 1);
  CHECK(first.at("type") == "slave-added");
  CHECK(past.body.ends_with("\n"));

  check_problem(given.get("/v1/events?since=now"), 400, "wrong-type", "since");
  check_problem(given.get("/v1/events?since=-1"), 400, "wrong-type", "since");
}

TEST_CASE("each reader has a queue of its own, and the slow one is cut off") {
  EventFeed feed;
  int woken = 0;
  const auto quick = feed.follow([&] { ++woken; });
  const auto slow = feed.follow([] {});
  const LoggedEvent event{.seq = 1, .time = 0, .event = {.type = EventType::resync}};

  feed.publish(event);
  CHECK(woken == 1);
  CHECK(quick->take() == event_line(event));
  CHECK(quick->take().empty());

  while (!slow->ended()) {
    feed.publish(event);
    quick->take();
  }
  CHECK(slow->take().empty());
  CHECK_FALSE(quick->ended());

  quick->end();
  quick->end();
  woken = 0;
  feed.publish(event);
  CHECK(woken == 0);
}

TEST_CASE("settings are read again, and what they changed is said") {
  Given given;
  given.reloaded = SettingsChange{.at_once = {"daemon.log-level"}, .by_restart = {"daemon.socket"}};
  const Reply reply = given.post("/v1/reload", "");
  CHECK(reply.status == 200);
  CHECK(body(reply) == json{{"changed", {"daemon.log-level"}}, {"needs_restart", {"daemon.socket"}}});
  CHECK(given.reloads == 1);

  given.reloaded = fail(Errc::bad_settings, "f:1: no");
  check_problem(given.post("/v1/reload", "{}"), 422, "bad-settings");

  check_problem(given.post("/v1/reload", R"({"all": true})"), 400, "unknown-field", "all");
  check_problem(given.answer({.method = "POST", .target = "/v1/reload", .peer = {kSomebody}}), 403,
                "forbidden");
  CHECK(given.reloads == 2);
}
