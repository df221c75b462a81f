// SPDX-License-Identifier: Apache-2.0
// What shall this program do? The command line as types; `--help` says what each means.
#pragma once

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <vector>

#include "ipvlanx/model/types.h"
#include "xsk_map.h"
#include "xsk_socket.h"

namespace ipvlanx::xsk {

enum class Work { drop, echo, generate, forward };

// One socket.
struct End {
  std::string interface;
  std::uint32_t queue = 0;
  MapSource map = OfProgram{};
};

struct Arguments {
  Work work = Work::drop;
  End end;
  End other;             // forward's second
  SocketOptions socket;  // of all sockets; an End says which queue

  std::optional<std::uint64_t> count;  // of frames: received, or sent by generate
  std::optional<std::chrono::duration<double>> seconds;
  bool spin = false;
  bool json = false;

  // echo
  std::vector<IpAddress> addresses;
  std::uint16_t udp_port = 7;

  // generate
  std::size_t size = 64;
  std::optional<std::uint64_t> rate;  // frames per second
  std::optional<IpAddress> from;
  std::optional<IpAddress> to;
  std::optional<MacAddress> to_mac;
  std::uint16_t from_port = 9;
  std::uint16_t to_port = 9;
};

// No command to run: the text is for stdout (status 0) or stderr (status 1).
struct NoWork {
  int status;
  std::string text;
};

std::expected<Arguments, NoWork> read_arguments(int argc, const char* const* argv);

}  // namespace ipvlanx::xsk
