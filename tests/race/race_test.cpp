// SPDX-License-Identifier: Apache-2.0
// What do the loop's thread and the worker's do to each other's data? By ThreadSanitizer, on fakes
// of the two seams: one changes things, as fast as it can, while the other one reads everything
// that can be read and tells the events.
#include <fmt/format.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>

#include "../fakes/fake_datapath.h"
#include "../fakes/fake_links.h"
#include "docker.h"
#include "event_feed.h"
#include "routes.h"
#include "worker.h"

using namespace ipvlanx;
using namespace ipvlanx::daemon;
namespace asio = boost::asio;

namespace {

constexpr int kRounds = 300;

void must(bool promise, const std::string& what) {
  if (promise) return;
  fmt::print(stderr, "broken promise: {}\n", what);
  std::exit(1);
}

Request request(const std::string& method, const std::string& target) {
  Request request{.method = method, .target = target};
  request.peer = {.uid = 0};
  return request;
}

class Race {
 public:
  explicit Race(const std::string& folder)
      : controller_{links_, datapath_, folder + "/state.json", "boot"},
        docker_{controller_, folder + "/docker.json"} {
    links_.masters.emplace("m0", MasterLink{.ifindex = IfIndex{2},
                                            .name = *IfName::parse("m0"),
                                            .mac = {{2, 0, 0, 0, 0, 1}},
                                            .mtu = 1500,
                                            .ethernet = true});
    links_.namespaces.emplace("ns0", Nsid{1});
    must(controller_.start().has_value(), "the controller starts");
    controller_.events().run_by([this](std::function<void()> tell) { asio::post(loop_, std::move(tell)); });
    controller_.events().on_event([this](const LoggedEvent& event) { feed_.publish(event); });
    controller_.on_announcement([] {});
  }

  void run() {
    asio::co_spawn(loop_, change(), rethrow);
    asio::co_spawn(loop_, follow(), rethrow);
    asio::co_spawn(loop_, read(), rethrow);
    loop_.run();
  }

 private:
  static void rethrow(std::exception_ptr bug) {
    if (bug) std::rethrow_exception(bug);
  }

  // All that is awaited, and all that it borrows, has a name: g++ 12 destroys temporaries of a
  // co_await twice.
  asio::awaitable<void> ask(const Request& request, Reply& reply) {
    if (Routes::changes_something(request)) {
      reply = co_await worker_.run([&] { return routes_.answer(request); });
    } else {
      reply = routes_.answer(request);
    }
  }

  asio::awaitable<void> change() {
    Reply reply;
    for (int round = 0; round < kRounds; ++round) {
      const std::string name = fmt::format("s{}", round);
      Request add = request("POST", "/v1/slaves");
      add.idempotency_key = name;
      add.body =
          fmt::format(R"({{"master": "m0", "name": "{}", "netns": "ns0", "addresses": ["10.0.{}.{}/8"]}})",
                      name, round >> 8, round & 255);
      co_await ask(add, reply);
      must(reply.status == 201, reply.body);
      Request change = request("PATCH", reply.headers.front().second);
      change.body = R"({"mtu": 1400})";
      co_await ask(change, reply);
      must(reply.status == 200, reply.body);
      Request port = request("PATCH", "/v1/ports/m0");
      port.body = R"({"announce": true})";
      co_await ask(port, reply);
      must(reply.status == 200, reply.body);
      if (round % 20 != 0) continue;
      const Request flush = request("POST", "/v1/ports/m0/flush");
      co_await ask(flush, reply);
      must(reply.status == 200, reply.body);
    }
    over_ = true;
  }

  asio::awaitable<void> follow() {
    while (!over_) {
      co_await worker_.run([this] {
        controller_.set_defaults({});
        controller_.follow({.lost = true});
        controller_.announce(Announcements::Time::clock::now());
        return controller_.next_announcement();
      });
    }
  }

  asio::awaitable<void> read() {
    const auto reader = feed_.follow([] {});
    std::size_t lines = 0;
    Reply reply;
    while (!over_) {
      for (const char* target :
           {"/v1/slaves", "/v1/ports", "/v1/ports/m0", "/v1/slaves?name=s7", "/v1/save", "/v1/drops",
            "/metrics", "/v1/slaves/1/stats", "/v1/slaves/1", "/v1/events?since=0", "/v1/health"}) {
        const Request get = request("GET", target);
        co_await ask(get, reply);
        must(reply.status < 500, reply.body);
        co_await asio::post(loop_, asio::use_awaitable);
      }
      lines += reader->take().size();
    }
    must(lines > 0, "events were told");
  }

  FakeLinks links_;
  FakeDatapath datapath_;
  Controller controller_;
  const Access access_;
  Docker docker_;
  Routes routes_{controller_, access_, docker_, [] { return SettingsChange{}; }};
  EventFeed feed_;
  bool over_ = false;
  asio::io_context loop_{1};
  Worker worker_;
};

}  // namespace

int main() {
  std::string folder = "/dev/shm/ipvlanx-race-XXXXXX";
  must(mkdtemp(folder.data()) != nullptr, "there is a folder");
  Race{folder}.run();
  std::filesystem::remove_all(folder);
}
