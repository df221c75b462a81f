// SPDX-License-Identifier: Apache-2.0
// What is said to a packet application that asks for its slave's socket map.
#include "handshake.h"

#include "catch.h"

using namespace ipvlanx::daemon;

TEST_CASE("a packet application asks for its slave's socket map") {
  Handshake handshake{"app0", std::nullopt, true};
  CHECK(handshake.answer("/version").text == "0.1");
  CHECK(handshake.answer("/connect,pod-1").text == "/host_ok");
  const Answer map = handshake.answer("/xsk_map_fd,  app0 ");
  CHECK(map.text == "/fd_ack");
  CHECK(map.with == Answer::With::map);
  CHECK_FALSE(map.ends);
  CHECK(handshake.answer("/config_busy_poll,20,64").busy_poll == BusyPoll{20, 64});
  CHECK(handshake.answer("/fin").ends);
}

TEST_CASE("whoever does not ask properly gets no map") {
  for (const char* message : {"/xsk_map_fd,app1", "/xsk_map_fd,", "/xsk_map_fd", "/xsk_map_fd,app0,app0"}) {
    INFO(message);
    Handshake handshake{"app0", std::nullopt, true};
    handshake.answer("/connect,x");
    const Answer answer = handshake.answer(message);
    CHECK(answer.text == "/error");
    CHECK(answer.ends);
    CHECK(answer.with == Answer::With::nothing);
  }
  CHECK(Handshake{"app0", std::nullopt, true}.answer("/xsk_map_fd,app0").text == "/error");
  Handshake stranger{"app0", std::nullopt, false};
  CHECK(stranger.answer("/connect,x").text == "/host_nak");
  CHECK(stranger.answer("/xsk_map_fd,app0").text == "/error");
}

TEST_CASE("busy polling is set only as far as the kernel would") {
  for (const char* words : {"", ",", ",20", ",20,", ",20,65536", ",1000001,8", ",-1,8", ",20,8,1", ",a,b"}) {
    INFO(words);
    Handshake handshake{"app0", std::nullopt, true};
    handshake.answer("/connect,x");
    const Answer answer = handshake.answer(std::string{"/config_busy_poll"} + words);
    CHECK(answer.text == "/config_busy_poll_nak");
    CHECK_FALSE(answer.busy_poll);
  }
}

TEST_CASE("an application of a direct slave is handed a socket") {
  Handshake handshake{"eth0", ipvlanx::IfIndex{4}, true};
  CHECK(handshake.answer("/x_socket").text == "/error");  // who is it?
  Handshake known{"eth0", ipvlanx::IfIndex{4}, true};
  known.answer("/connect,here");
  const Answer answer = known.answer("/x_socket");
  CHECK(answer.text == "/fd_ack,4");
  CHECK(answer.with == Answer::With::socket);
  CHECK(known.answer("/xsk_map_fd,eth0").with == Answer::With::map);
}
