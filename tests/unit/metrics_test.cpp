// SPDX-License-Identifier: Apache-2.0
// What does GET /metrics say, to the letter?
#include "metrics.h"

#include "../catch.h"
#include "world.h"

using namespace ipvlanx;
using namespace ipvlanx::daemon;
using Catch::Matchers::Contains;

TEST_CASE("metrics in Prometheus' text format") {
  State state;
  state = test::done(state, *plan(state, test::add_l2("web\"0\xff")));
  RequestTimes times;
  times.add({"GET", "/v1/slaves/{id}"}, std::chrono::milliseconds{2});
  times.add({"GET", "/v1/slaves/{id}"}, std::chrono::minutes{1});
  const AllStats all{.slaves = {{SlaveId{1}, {.rx = {.packets = 7}, .drops = {{"pause", 3}}}},
                                {SlaveId{9}, {.rx = {.packets = 1}}}},  // gone by now
                     .drops = {{"truncated", 2}},
                     .maps = {{"ipvx_addrs", 1, 65536}}};
  const std::string text = metrics({"0.1.0", "v1", "6.1"}, state, all, times);

  const std::string whose = "id=\"1\",slave=\"web\\\"0\xef\xbf\xbd\",master=\"m0\",mode=\"l2\"";
  CHECK_THAT(text, Contains("\nipvlanx_build_info{version=\"0.1.0\",kernel=\"6.1\"} 1\n"));
  CHECK_THAT(text, Contains("\nipvlanx_slaves{master=\"m0\",mode=\"l2\"} 1\n"));
  CHECK_THAT(text, Contains("\n# TYPE ipvlanx_slave_receive_packets_total counter\n"
                            "ipvlanx_slave_receive_packets_total{" +
                            whose + "} 7\n#"));
  CHECK_THAT(text, Contains("\nipvlanx_drop_packets_total{reason=\"truncated\"} 2\n"
                            "ipvlanx_drop_packets_total{reason=\"pause\"," +
                            whose + "} 3\n"));
  CHECK_THAT(text, Contains("\nipvlanx_map_entries{map=\"ipvx_addrs\"} 1\n"));
  CHECK_THAT(text, Contains("\nipvlanx_map_max_entries{map=\"ipvx_addrs\"} 65536\n"));
  const std::string route = "method=\"GET\",route=\"/v1/slaves/{id}\"";
  CHECK_THAT(text, Contains("_bucket{" + route + ",le=\"0.001\"} 0\n"));
  CHECK_THAT(text, Contains("_bucket{" + route + ",le=\"0.0025\"} 1\n"));
  CHECK_THAT(text, Contains("_bucket{" + route + ",le=\"30\"} 1\n"));
  CHECK_THAT(text, Contains("_bucket{" + route + ",le=\"+Inf\"} 2\n"));
  CHECK_THAT(text, Contains("_sum{" + route + "} 60.002\n"));
  CHECK_THAT(text, Contains("_count{" + route + "} 2\n"));
}
