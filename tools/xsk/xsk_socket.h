// SPDX-License-Identifier: Apache-2.0
// How does an application send and receive frames by an AF_XDP socket?
//
//     kernel                          this class                    application
//     FILL ring       <-- empty chunks --  free chunks
//     RX ring         --- frames ------------------------------->  receive()
//                                          free chunks  <--------  release(), or
//                                          free chunks  -------->  allocate()
//     TX ring         <-- frames --------------------------------  send()
//     COMPLETION ring --- chunks -------->  free chunks
//
// A chunk is a piece of the memory (UMEM) that the application shares with the kernel; it holds one
// frame. What the application does shows in the rings, to the kernel, at the next flush().
#pragma once

#include <linux/if_xdp.h>
#include <xdp/xsk.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "interface.h"
#include "ipvlanx/base/result.h"
#include "xsk_map.h"

namespace ipvlanx::xsk {

struct SocketOptions {
  std::uint32_t queue = 0;
  std::uint32_t ring = 2048;   // slots of each ring: a power of two
  std::uint32_t chunk = 2048;  // bytes: 2048 or 4096
  enum class Mode { best, copy, zero_copy } mode = Mode::best;
  bool multi_buffer = false;  // frames longer than a chunk, in several (Linux 6.6)
  bool busy_poll = false;     // the driver works when this process asks it to, on its CPU
};

// Who holds one owns its chunk, and gives it back by release() or send().
struct Frame {
  std::span<std::uint8_t> bytes;
  std::span<std::uint8_t> room;  // from the same first byte to the end of the chunk
  bool whole = true;             // neither continued in the next one, nor continuing another
  bool last = true;              // of its packet
};

struct Traffic {
  std::uint64_t packets = 0;
  std::uint64_t bytes = 0;
};

// Of one thread at a time.
class XskSocket {
 public:
  static constexpr std::uint32_t kBatch = 64;

  // Retries for a second what another socket's end may be about to give back.
  static Result<std::unique_ptr<XskSocket>> open(const Interface& interface, const SocketOptions& options,
                                                 XskMap map);
  XskSocket(const XskSocket&) = delete;
  XskSocket& operator=(const XskSocket&) = delete;
  ~XskSocket();

  // At most `limit` of the frames that have come, and at most kBatch. The span is valid until the
  // next call; the chunks are the caller's.
  std::span<const Frame> receive(std::uint32_t limit = kBatch);
  void release(const Frame& frame);

  // An empty chunk for a frame to send, if one is free.
  std::optional<Frame> allocate();
  // The first `length` bytes of `frame.room`. False: no slot is free now, the chunk is still the caller's.
  bool send(const Frame& frame, std::size_t length);

  // Lets the kernel see what was released and sent, wakes it where it asks for that, and takes back
  // the chunks of frames that have left. An interface that is down keeps what is to be sent.
  Result<void> flush();

  // Frames that send() took and that have not left yet.
  std::uint32_t sending() const { return sending_; }
  const Traffic& received() const { return received_; }
  const Traffic& sent() const { return sent_; }  // those that have left
  // What the kernel has dropped. An interface that is gone is an error: only asking shows it.
  Result<xdp_statistics> statistics() const;
  bool is_zero_copy() const;

  const Interface& interface() const { return interface_; }
  std::uint32_t queue() const { return options_.queue; }

  // Until one of these has received a frame, a signal comes, or this much time is over.
  static void wait(std::span<const std::unique_ptr<XskSocket>> sockets, std::chrono::milliseconds time);

 private:
  // libxdp keeps pointers to these, so they stay where they are. It does not set all of their fields.
  struct Rings {
    xsk_ring_prod fill{};
    xsk_ring_cons completion{};
    xsk_ring_cons rx{};
    xsk_ring_prod tx{};
  };

  XskSocket(const Interface& interface, const SocketOptions& options);
  int fd() const { return xsk_socket__fd(socket_); }
  std::size_t memory_size() const;
  std::uint64_t chunk_of(const Frame& frame) const;

  struct Refused {
    int error;  // errno
    std::string sentence;
  };
  std::optional<Refused> create(const XskMap& map);
  Result<void> set_up(XskMap& map);
  Result<void> set_busy_poll(XskMap& map) const;
  void fill();
  void reap();
  Result<void> wake_for_tx() const;
  std::unexpected<Error> gone() const;

  Interface interface_;
  SocketOptions options_;
  std::uint8_t* memory_ = nullptr;
  xsk_umem* umem_ = nullptr;
  xsk_socket* socket_ = nullptr;
  Rings rings_;

  std::vector<std::uint64_t> free_;          // where free chunks begin
  std::vector<std::uint32_t> sent_lengths_;  // of the frame in each chunk
  std::vector<Frame> batch_;
  std::uint32_t filled_ = 0;  // chunks that wait in the kernel for a frame
  std::uint32_t to_submit_ = 0;
  std::uint32_t sending_ = 0;
  bool receives_ = true;
  bool in_packet_ = false;  // the last descriptor said that more will follow
  Traffic received_;
  Traffic sent_;
};

}  // namespace ipvlanx::xsk
