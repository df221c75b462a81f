// SPDX-License-Identifier: Apache-2.0
// What a client sends, from its first byte to the reply.
#include "http.h"

#include "docker.h"
#include "fuzz.h"
#include "ipvlanx/api/problem.h"
#include "routes.h"

using namespace ipvlanx;
using namespace ipvlanx::fuzz;
using nlohmann::json;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  World world;
  const daemon::Access access;
  daemon::Docker docker{world.controller, (world.folder() / "docker.json").string()};
  daemon::Routes routes{world.controller, access, docker, [] { return SettingsChange{}; }};
  boost::asio::const_buffer rest{data, size};
  while (rest.size() > 0) {
    daemon::HttpParser parser;
    parser.eager(true);
    boost::system::error_code error;
    while (!parser.is_done() && !error && rest.size() > 0) {
      const std::size_t used = parser.put(rest, error);
      rest += used;
      if (used == 0) break;
    }
    if (error || !parser.is_done()) return 0;

    daemon::Request request = parser.take_request();
    request.peer = {.uid = 0};
    const daemon::Reply reply = routes.answer(request);
    must(reply.status >= 200 && reply.status < 600, "a status");
    if (reply.status >= 400) {
      const json problem = json::parse(reply.body, nullptr, false);
      must(problem.is_object() && problem.at("status") == reply.status, "an error is a problem");
      must(api::read_problem(reply.body, reply.status).message == problem.at("detail").get<std::string>(),
           "and reads back");
    } else if (reply.content_type == "application/json") {
      must(!json::parse(reply.body, nullptr, false).is_discarded(), "an answer is JSON");
    }
  }
  return 0;
}
