// SPDX-License-Identifier: Apache-2.0
#include "xsk_socket.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <thread>
#include <utility>

namespace ipvlanx::xsk {

namespace {

using std::chrono::steady_clock;

// From newer headers than Debian 12's.
constexpr std::uint16_t kBindMultiBuffer = 1 << 4;                         // XDP_USE_SG
constexpr std::uint32_t kContinued = 1 << 0;                               // XDP_PKT_CONTD
constexpr int kBusyPoll = 46, kPreferBusyPoll = 69, kBusyPollBudget = 70;  // SO_*

constexpr int kBusyPollMicroseconds = 20;
constexpr int kBusyPollFrames = 64;
constexpr std::uint32_t kFramesPerWakeup = 32;  // xsk_generic_xmit() in net/xdp/xsk.c

// The kernel frees what a closed socket held, its queue and its locked memory, some time later.
constexpr auto kPatience = std::chrono::seconds{1};
constexpr auto kPause = std::chrono::milliseconds{20};

std::unexpected<Error> refuse(std::string message) {
  return fail(Errc::kernel_refused, std::move(message));
}

std::string memory_sentence(int error) {
  switch (error) {
    case EPERM:
    case EACCES:
      return "an AF_XDP socket takes CAP_NET_RAW: be root, or give the program that capability";
    case ENOBUFS:
    case ENOMEM:
      return "the socket's memory is more than this user may lock: raise `ulimit -l`, give the program "
             "CAP_IPC_LOCK, or say a smaller --ring";
    case EAFNOSUPPORT:
      return "this kernel has no AF_XDP sockets (CONFIG_XDP_SOCKETS)";
    default:
      return fmt::format("the socket's memory: {}", std::strerror(error));
  }
}

std::string bind_sentence(const Interface& interface, const SocketOptions& options, int error) {
  const auto where = fmt::format("queue {} of '{}'", options.queue, interface.name);
  switch (error) {
    case EBUSY:
      return fmt::format("{} has another AF_XDP socket: end that application, or say another --queue", where);
    case EINVAL:
      return fmt::format("{} cannot be had: it has fewer queues (`ip -d link` says numrxqueues){}", where,
                         options.multi_buffer ? ", or the kernel knows no --multi-buffer (before 6.6)" : "");
    case E2BIG:
      return fmt::format("{} has no place in the XDP program's map: say a lower --queue", where);
    case ENETDOWN:
      return fmt::format("interface '{0}' is down: `ip link set {0} up` brings it up", interface.name);
    case ENODEV:
      return fmt::format("interface '{}' is gone", interface.name);
    case EOPNOTSUPP:
    case EPROTONOSUPPORT:
      return fmt::format("the driver of '{}' cannot do zero copy: leave --zero-copy away", interface.name);
    default:
      return fmt::format("{}: {}", where, std::strerror(error));
  }
}

std::uint16_t bind_flags(const SocketOptions& options) {
  std::uint16_t flags = XDP_USE_NEED_WAKEUP;
  if (options.mode == SocketOptions::Mode::copy) flags |= XDP_COPY;
  if (options.mode == SocketOptions::Mode::zero_copy) flags |= XDP_ZEROCOPY;
  if (options.multi_buffer) flags |= kBindMultiBuffer;
  return flags;
}

bool may_pass(int error) {
  return error == EBUSY || error == ENOBUFS;
}

}  // namespace

XskSocket::XskSocket(const Interface& interface, const SocketOptions& options)
    : interface_(interface), options_(options) {
  batch_.reserve(kBatch);
}

XskSocket::~XskSocket() {
  xsk_socket__delete(socket_);
  xsk_umem__delete(umem_);
  if (memory_) munmap(memory_, memory_size());
}

// The kernel can have a ring full of chunks to receive into, and half a ring stays for sending.
std::size_t XskSocket::memory_size() const {
  return std::size_t{options_.ring} * 3 / 2 * options_.chunk;
}

Result<std::unique_ptr<XskSocket>> XskSocket::open(const Interface& interface, const SocketOptions& options,
                                                   XskMap map) {
  const auto deadline = steady_clock::now() + kPatience;
  for (;;) {
    std::unique_ptr<XskSocket> socket{new XskSocket{interface, options}};
    const auto refused = socket->create(map);
    if (!refused) {
      if (auto done = socket->set_up(map); !done) return std::unexpected(done.error());
      return socket;
    }
    if (!may_pass(refused->error) || steady_clock::now() > deadline) return refuse(refused->sentence);
    socket.reset();
    std::this_thread::sleep_for(kPause);
  }
}

std::optional<XskSocket::Refused> XskSocket::create(const XskMap& map) {
  receives_ = map.receives();
  void* const memory =
      mmap(nullptr, memory_size(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return Refused{errno, memory_sentence(errno)};
  memory_ = static_cast<std::uint8_t*>(memory);

  // A FILL ring that is never full: releasing a chunk cannot fail.
  const xsk_umem_config umem_config{
      .fill_size = options_.ring * 2, .comp_size = options_.ring, .frame_size = options_.chunk};
  if (const int error =
          -xsk_umem__create(&umem_, memory_, memory_size(), &rings_.fill, &rings_.completion, &umem_config)) {
    return Refused{error, memory_sentence(error)};
  }

  const xsk_socket_config socket_config{
      .rx_size = options_.ring,
      .tx_size = options_.ring,
      .libxdp_flags = map.left_to_libxdp() ? 0U : XSK_LIBXDP_FLAGS__INHIBIT_PROG_LOAD,
      .bind_flags = bind_flags(options_)};
  if (const int error = -xsk_socket__create(&socket_, interface_.name.c_str(), options_.queue, umem_,
                                            receives_ ? &rings_.rx : nullptr, &rings_.tx, &socket_config)) {
    return Refused{error, bind_sentence(interface_, options_, error)};
  }
  return {};
}

Result<void> XskSocket::set_up(XskMap& map) {
  const std::uint64_t size = memory_size();
  for (std::uint64_t chunk = 0; chunk < size; chunk += options_.chunk) free_.push_back(chunk);
  sent_lengths_.resize(free_.size());
  // Before the map leads frames here: the first ones find chunks.
  fill();

  if (options_.busy_poll) {
    if (auto set = set_busy_poll(map); !set) return set;
  }
  if (map.receives() && !map.left_to_libxdp()) {
    if (auto inserted = map.insert(options_.queue, fd()); !inserted) return inserted;
  }
  return map.finish();
}

Result<void> XskSocket::set_busy_poll(XskMap& map) const {
  if (map.sets_busy_poll()) return map.set_busy_poll(fd(), kBusyPollMicroseconds, kBusyPollFrames);

  constexpr std::pair<int, int> kSettings[] = {
      {kPreferBusyPoll, 1}, {kBusyPoll, kBusyPollMicroseconds}, {kBusyPollBudget, kBusyPollFrames}};
  for (const auto& [option, value] : kSettings) {
    if (setsockopt(fd(), SOL_SOCKET, option, &value, sizeof value) == 0) continue;
    if (errno == EPERM) return refuse("--busy-poll takes CAP_NET_ADMIN, or --socket where it is offered");
    return kernel_error("--busy-poll", errno);
  }
  return {};
}

std::uint64_t XskSocket::chunk_of(const Frame& frame) const {
  const auto offset = static_cast<std::uint64_t>(frame.room.data() - memory_);
  return offset - offset % options_.chunk;
}

std::span<const Frame> XskSocket::receive(std::uint32_t limit) {
  batch_.clear();
  std::uint32_t slot = 0;
  const std::uint32_t count = xsk_ring_cons__peek(&rings_.rx, std::min(limit, kBatch), &slot);
  for (std::uint32_t i = 0; i < count; ++i) {
    const xdp_desc& descriptor = *xsk_ring_cons__rx_desc(&rings_.rx, slot + i);
    const bool last = !(descriptor.options & kContinued);
    const std::size_t room = options_.chunk - descriptor.addr % options_.chunk;
    batch_.push_back({.bytes = {memory_ + descriptor.addr, descriptor.len},
                      .room = {memory_ + descriptor.addr, room},
                      .whole = last && !in_packet_,
                      .last = last});
    in_packet_ = !last;
    received_.packets += last;
    received_.bytes += descriptor.len;
  }
  if (count > 0) xsk_ring_cons__release(&rings_.rx, count);
  filled_ -= count;
  return batch_;
}

void XskSocket::release(const Frame& frame) {
  free_.push_back(chunk_of(frame));
}

std::optional<Frame> XskSocket::allocate() {
  if (free_.empty()) return {};
  std::uint8_t* const chunk = memory_ + free_.back();
  free_.pop_back();
  return Frame{.bytes = {}, .room = {chunk, options_.chunk}};
}

bool XskSocket::send(const Frame& frame, std::size_t length) {
  std::uint32_t slot = 0;
  if (xsk_ring_prod__reserve(&rings_.tx, 1, &slot) == 0) return false;
  const auto address = static_cast<std::uint64_t>(frame.room.data() - memory_);
  *xsk_ring_prod__tx_desc(&rings_.tx, slot) = {.addr = address, .len = static_cast<std::uint32_t>(length)};
  sent_lengths_[address / options_.chunk] = static_cast<std::uint32_t>(length);
  ++to_submit_;
  return true;
}

Result<void> XskSocket::flush() {
  if (to_submit_ > 0) {
    xsk_ring_prod__submit(&rings_.tx, to_submit_);
    sending_ += std::exchange(to_submit_, 0);
  }
  if (sending_ > 0) {
    if (auto woken = wake_for_tx(); !woken) return woken;
    reap();
  }
  fill();
  if (options_.busy_poll || xsk_ring_prod__needs_wakeup(&rings_.fill)) {
    recvfrom(fd(), nullptr, 0, MSG_DONTWAIT, nullptr, nullptr);
  }
  return {};
}

// In copy mode the kernel sends a few dozen frames for each call, and says EAGAIN where more wait.
Result<void> XskSocket::wake_for_tx() const {
  for (std::uint32_t sent = 0; sent < options_.ring; sent += kFramesPerWakeup) {
    if (!options_.busy_poll && !xsk_ring_prod__needs_wakeup(&rings_.tx)) return {};
    if (sendto(fd(), nullptr, 0, MSG_DONTWAIT, nullptr, 0) >= 0) return {};
    if (errno == EAGAIN) continue;
    if (errno == EBUSY || errno == ENOBUFS || errno == ENETDOWN) return {};
    if (errno == ENXIO) return gone();
    return kernel_error(fmt::format("sending by '{}'", interface_.name), errno);
  }
  return {};
}

void XskSocket::reap() {
  std::uint32_t slot = 0;
  const std::uint32_t count = xsk_ring_cons__peek(&rings_.completion, options_.ring, &slot);
  for (std::uint32_t i = 0; i < count; ++i) {
    const std::uint64_t address = *xsk_ring_cons__comp_addr(&rings_.completion, slot + i);
    sent_.bytes += sent_lengths_[address / options_.chunk];
    free_.push_back(address - address % options_.chunk);
  }
  if (count > 0) xsk_ring_cons__release(&rings_.completion, count);
  sending_ -= count;
  sent_.packets += count;
}

void XskSocket::fill() {
  if (!receives_) return;
  const auto count = std::min<std::uint32_t>(options_.ring - filled_, free_.size());
  std::uint32_t slot = 0;
  if (count == 0 || xsk_ring_prod__reserve(&rings_.fill, count, &slot) == 0) return;
  for (std::uint32_t i = 0; i < count; ++i) {
    *xsk_ring_prod__fill_addr(&rings_.fill, slot + i) = free_.back();
    free_.pop_back();
  }
  xsk_ring_prod__submit(&rings_.fill, count);
  filled_ += count;
}

Result<xdp_statistics> XskSocket::statistics() const {
  int error = 0;
  socklen_t error_size = sizeof error;
  if (getsockopt(fd(), SOL_SOCKET, SO_ERROR, &error, &error_size) == 0 && error != 0) return gone();

  xdp_statistics statistics{};
  socklen_t size = sizeof statistics;
  if (getsockopt(fd(), SOL_XDP, XDP_STATISTICS, &statistics, &size) == 0) return statistics;
  return kernel_error(fmt::format("statistics of '{}'", interface_.name), errno);
}

std::unexpected<Error> XskSocket::gone() const {
  return refuse(fmt::format("interface '{}' is gone from this network namespace", interface_.name));
}

bool XskSocket::is_zero_copy() const {
  xdp_options options{};
  socklen_t size = sizeof options;
  return getsockopt(fd(), SOL_XDP, XDP_OPTIONS, &options, &size) == 0 && options.flags & XDP_OPTIONS_ZEROCOPY;
}

void XskSocket::wait(std::span<const std::unique_ptr<XskSocket>> sockets, std::chrono::milliseconds time) {
  std::vector<pollfd> polled;
  for (const auto& socket : sockets) polled.push_back({.fd = socket->fd(), .events = POLLIN});
  poll(polled.data(), polled.size(), static_cast<int>(time.count()));
}

}  // namespace ipvlanx::xsk
