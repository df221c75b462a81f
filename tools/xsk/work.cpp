// SPDX-License-Identifier: Apache-2.0
#include "work.h"

#include <fmt/format.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

#include "answer.h"
#include "neighbours.h"
#include "run.h"
#include "udp_frame.h"
#include "xsk_socket.h"

namespace ipvlanx::xsk {

namespace {

using std::chrono::milliseconds;
using Sockets = std::vector<std::unique_ptr<XskSocket>>;

// A signal that comes just before the sleep is seen after it.
constexpr milliseconds kSleep{100};
// Between the frames of a generator that shall not send as many as it can.
constexpr milliseconds kNap{1};
// What is to leave may take so long when the work is over.
constexpr int kLastNaps = 1000;

Result<Interface> open(const End& end, SocketOptions options, Sockets& out) {
  auto interface = Interface::find(end.interface);
  if (!interface) return interface;
  auto map = XskMap::open(end.map, *interface);
  if (!map) return std::unexpected(map.error());
  options.queue = end.queue;
  auto socket = XskSocket::open(*interface, options, *std::move(map));
  if (!socket) return std::unexpected(socket.error());
  out.push_back(*std::move(socket));
  return interface;
}

Result<void> flush(const Sockets& sockets) {
  for (const auto& socket : sockets) {
    if (auto flushed = socket->flush(); !flushed) return flushed;
  }
  return {};
}

// Does `step(limit)` until the run is over. It handles up to `limit` frames and says how many there
// were; after none, all sleep until one comes, at most for `sleep`.
template <class Step>
Result<void> repeat(const Arguments& arguments, const Sockets& sockets, milliseconds sleep, Step step,
                    const HeardCounts* heard = nullptr) {
  Run run{arguments, sockets, heard};
  std::uint64_t done = 0;
  for (;;) {
    const auto goes_on = run.goes_on(done);
    if (!goes_on) return std::unexpected(goes_on.error());
    if (!*goes_on) break;
    const std::uint32_t handled = step(run.limit(done, XskSocket::kBatch), run);
    done += handled;
    if (auto flushed = flush(sockets); !flushed) return flushed;
    if (handled == 0 && !arguments.spin) XskSocket::wait(sockets, sleep);
  }
  const auto is_sending = [](const auto& socket) { return socket->sending() > 0; };
  for (int nap = 0; nap < kLastNaps && std::ranges::any_of(sockets, is_sending); ++nap) {
    std::this_thread::sleep_for(kNap);
    if (auto flushed = flush(sockets); !flushed) return flushed;
  }
  return run.summarise();
}

Result<void> drop(const Arguments& arguments) {
  Sockets sockets;
  if (auto opened = open(arguments.end, arguments.socket, sockets); !opened) {
    return std::unexpected(opened.error());
  }
  XskSocket& socket = *sockets.front();
  return repeat(arguments, sockets, kSleep, [&](std::uint32_t limit, const Run&) {
    const auto frames = socket.receive(limit);
    for (const auto& frame : frames) socket.release(frame);
    return static_cast<std::uint32_t>(std::ranges::count_if(frames, &Frame::last));
  });
}

Result<void> echo(const Arguments& arguments) {
  Sockets sockets;
  const auto interface = open(arguments.end, arguments.socket, sockets);
  if (!interface) return std::unexpected(interface.error());
  Identity me{.mac = interface->mac, .addresses = interface->addresses, .udp_port = arguments.udp_port};
  me.addresses.insert(me.addresses.end(), arguments.addresses.begin(), arguments.addresses.end());

  XskSocket& socket = *sockets.front();
  HeardCounts heard{};
  const auto step = [&](std::uint32_t limit, const Run&) {
    const auto frames = socket.receive(limit);
    for (const auto& frame : frames) {
      const Answer said = frame.whole ? answer(frame.room, frame.bytes.size(), me) : Answer{};
      ++heard[static_cast<std::size_t>(said.heard)];
      if (said.length == 0 || !socket.send(frame, said.length)) socket.release(frame);
    }
    return static_cast<std::uint32_t>(frames.size());
  };
  return repeat(arguments, sockets, kSleep, step, &heard);
}

// The interface's first address of the family that `to` has.
Result<IpAddress> address_of(const Interface& interface, const IpAddress& to) {
  const auto found = std::ranges::find(interface.addresses, to.family(), &IpAddress::family);
  if (found != interface.addresses.end()) return *found;
  return fail(Errc::bad_request, fmt::format("interface '{}' has no address to send to '{}' from: say --from",
                                             interface.name, to_string(to)));
}

Result<void> generate(const Arguments& arguments) {
  Sockets sockets;
  const auto interface = open(arguments.end, arguments.socket, sockets);
  if (!interface) return std::unexpected(interface.error());
  const auto from =
      arguments.from ? Result<IpAddress>{*arguments.from} : address_of(*interface, *arguments.to);
  if (!from) return std::unexpected(from.error());
  const auto frames = UdpFrames::of({.from_mac = interface->mac,
                                     .to_mac = *arguments.to_mac,
                                     .from = *from,
                                     .to = *arguments.to,
                                     .from_port = arguments.from_port,
                                     .to_port = arguments.to_port},
                                    arguments.size);
  if (!frames) return std::unexpected(frames.error());
  if (frames->size() > arguments.socket.chunk) {
    return fail(Errc::out_of_range, fmt::format("a size of {}: a chunk has {} bytes, say --chunk 4096",
                                                frames->size(), arguments.socket.chunk));
  }

  XskSocket& socket = *sockets.front();
  std::uint64_t number = 0;
  return repeat(arguments, sockets, kNap, [&](std::uint32_t limit, const Run& run) {
    if (arguments.rate) {
      const auto due = static_cast<std::uint64_t>(static_cast<double>(*arguments.rate) * run.time().count());
      limit = static_cast<std::uint32_t>(std::min<std::uint64_t>(limit, due - std::min(due, number)));
    }
    std::uint32_t sent = 0;
    for (; sent < limit; ++sent) {
      const auto frame = socket.allocate();
      if (!frame) break;
      frames->write(frame->room, number);
      if (!socket.send(*frame, frames->size())) {
        socket.release(*frame);
        break;
      }
      ++number;
    }
    return sent;
  });
}

// One of the two interfaces between which frames go.
struct Side {
  XskSocket* socket;
  Neighbours neighbours = {};
};

// What finds no free chunk there is lost, as on a link that is full.
std::uint32_t hand_on(Side& from, Side& to, std::uint32_t limit) {
  const auto frames = from.socket->receive(limit);
  for (const auto& frame : frames) {
    from.neighbours.learn(frame.bytes);
    if (const auto copy = frame.whole ? to.socket->allocate() : std::nullopt) {
      const Bytes bytes = copy->room.first(frame.bytes.size());
      put(bytes, 0, frame.bytes);
      to.neighbours.address(bytes, to.socket->interface().mac);
      if (!to.socket->send(*copy, bytes.size())) to.socket->release(*copy);
    }
    from.socket->release(frame);
  }
  return static_cast<std::uint32_t>(frames.size());
}

Result<void> forward(const Arguments& arguments) {
  Sockets sockets;
  for (const auto* end : {&arguments.end, &arguments.other}) {
    if (auto opened = open(*end, arguments.socket, sockets); !opened) {
      return std::unexpected(opened.error());
    }
  }
  Side one{sockets.front().get()};
  Side other{sockets.back().get()};
  return repeat(arguments, sockets, kSleep, [&](std::uint32_t limit, const Run&) {
    const std::uint32_t there = hand_on(one, other, limit);
    return there + hand_on(other, one, limit - there);
  });
}

}  // namespace

Result<void> work(const Arguments& arguments) {
  switch (arguments.work) {
    case Work::drop:
      return drop(arguments);
    case Work::echo:
      return echo(arguments);
    case Work::generate:
      return generate(arguments);
    case Work::forward:
      return forward(arguments);
  }
  std::unreachable();
}

}  // namespace ipvlanx::xsk
