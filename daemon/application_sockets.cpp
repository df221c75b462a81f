// SPDX-License-Identifier: Apache-2.0
#include "application_sockets.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <set>

#include "directory.h"
#include "handshake.h"
#include "into.h"
#include "ipvlanx/netlink/peer.h"
#include "log.h"

namespace ipvlanx::daemon {

namespace asio = boost::asio;

namespace {

using ErrorCode = boost::system::error_code;
using Descriptor = asio::posix::stream_descriptor;

constexpr const char* kSocket = "afxdp.sock";

bool set_busy_poll(const UniqueFd& application, const BusyPoll& wanted) {
  const auto set = [&](int option, std::uint32_t value) {
    return ::setsockopt(application.get(), SOL_SOCKET, option, &value, sizeof value) == 0;
  };
  return application && set(SO_PREFER_BUSY_POLL, 1) && set(SO_BUSY_POLL, wanted.timeout_us) &&
         set(SO_BUSY_POLL_BUDGET, wanted.budget);
}

struct Message {
  std::string text;
  UniqueFd passed = {};
};

// nullopt: the client has gone.
std::optional<Message> receive(int connection) {
  std::array<char, Handshake::kMostBytes + 1> text;  // one more shows what is too long
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  iovec part{text.data(), text.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  header.msg_control = control.data();
  header.msg_controllen = CMSG_LEN(sizeof(int));  // the padding behind it would hold a second one
  const auto size = ::recvmsg(connection, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (size <= 0) return std::nullopt;
  Message message{.text = {text.data(), static_cast<std::size_t>(size)}};
  const cmsghdr* ancillary = CMSG_FIRSTHDR(&header);
  if (ancillary && ancillary->cmsg_level == SOL_SOCKET && ancillary->cmsg_type == SCM_RIGHTS) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(ancillary), sizeof fd);
    message.passed = UniqueFd{fd};
  }
  return message;
}

// A client that does not read has no patience coming.
bool send(int connection, const std::string& text, const UniqueFd& passed) {
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  iovec part{const_cast<char*>(text.data()), text.size()};
  msghdr header{};
  header.msg_iov = &part;
  header.msg_iovlen = 1;
  if (passed) {
    header.msg_control = control.data();
    header.msg_controllen = control.size();
    cmsghdr* ancillary = CMSG_FIRSTHDR(&header);
    ancillary->cmsg_level = SOL_SOCKET;
    ancillary->cmsg_type = SCM_RIGHTS;
    ancillary->cmsg_len = CMSG_LEN(sizeof(int));
    const int fd = passed.get();
    std::memcpy(CMSG_DATA(ancillary), &fd, sizeof fd);
  }
  return ::sendmsg(connection, &header, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
}

Result<UniqueFd> listen_at(const std::string& path) {
  sockaddr_un address{.sun_family = AF_UNIX};
  if (path.size() >= sizeof address.sun_path) {
    return fail(Errc::kernel_refused, fmt::format("socket '{}': the path is too long", path));
  }
  path.copy(address.sun_path, path.size());
  if (::unlink(path.c_str()) < 0 && errno != ENOENT) return kernel_error(path, errno);
  UniqueFd fd{::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  // Whoever is in the slave's namespace may ask; others are told no.
  constexpr mode_t kAnybody = 0666;
  if (!fd || ::bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0 ||
      ::chmod(path.c_str(), kAnybody) < 0 || ::listen(fd.get(), SOMAXCONN) < 0) {
    return kernel_error(fmt::format("socket '{}'", path), errno);
  }
  return fd;
}

void remove_door(const std::filesystem::path& folder) {
  std::error_code gone_already;
  std::filesystem::remove(folder / kSocket, gone_already);
  std::filesystem::remove(folder, gone_already);
}

}  // namespace

struct ApplicationSockets::Door {
  SlaveId slave;
  std::string path;
  Descriptor listener;
  std::size_t clients = 0;
  std::size_t strangers = 0;  // from elsewhere: they take no client's place
};

ApplicationSockets::ApplicationSockets(asio::io_context& context, Controller& controller, std::string folder)
    : context_(context), controller_(controller), folder_(std::move(folder)) {
}

ApplicationSockets::~ApplicationSockets() = default;

Result<void> ApplicationSockets::open() {
  constexpr mode_t kPassThrough = 0711;
  if (auto made = make_directory(folder_, kPassThrough); !made) return made;
  std::set<std::string> wanted;
  for (const auto& [id, slave] : controller_.state().slaves()) {
    if (slave.via == Via::veth) continue;
    if (auto opened = open(id); !opened) return opened;
    wanted.insert(std::to_string(number(id)));
  }
  std::error_code error;
  for (const auto& left : std::filesystem::directory_iterator{folder_, error}) {
    if (!wanted.contains(left.path().filename())) remove_door(left.path());
  }
  return {};
}

Result<void> ApplicationSockets::open(SlaveId slave) {
  constexpr mode_t kPassThrough = 0711;
  const std::string folder = fmt::format("{}/{}", folder_, number(slave));
  if (auto made = make_directory(folder, kPassThrough); !made) return made;
  const std::string path = fmt::format("{}/{}", folder, kSocket);
  auto fd = listen_at(path);
  if (!fd) return std::unexpected(fd.error());
  const auto door = std::make_shared<Door>(Door{slave, path, Descriptor{context_, fd->release()}});
  doors_.insert_or_assign(slave, door);
  asio::co_spawn(context_, accept(door), asio::detached);
  return {};
}

bool ApplicationSockets::is_wanted(SlaveId id) {
  const auto reading = controller_.reading();
  const Slave* slave = controller_.state().slave(id);
  return slave && slave->via != Via::veth;
}

void ApplicationSockets::follow(const Event& event) {
  if (!event.slave) return;
  const bool wanted = is_wanted(*event.slave);
  const bool is_open = doors_.contains(*event.slave);
  if (is_open && !wanted) close(*event.slave);
  if (is_open || !wanted) return;
  if (auto opened = open(*event.slave); !opened) log_trouble(opened.error());
}

void ApplicationSockets::close(SlaveId slave) {
  const auto door = doors_.extract(slave).mapped();
  ErrorCode ignored;
  door->listener.close(ignored);
  remove_door(std::filesystem::path{door->path}.parent_path());
}

// The folders stay: containers have them, and the next daemon listens there again.
void ApplicationSockets::close() {
  for (const auto& [id, door] : doors_) {
    ErrorCode ignored;
    door->listener.close(ignored);
  }
  doors_.clear();
}

asio::awaitable<void> ApplicationSockets::accept(std::shared_ptr<Door> door) {
  while (door->listener.is_open()) {
    ErrorCode error;
    co_await door->listener.async_wait(Descriptor::wait_read, into(error));
    if (error) co_return;
    UniqueFd client{
        ::accept4(door->listener.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK)};
    if (!client && errno != EAGAIN) {
      // Out of descriptors or memory: do not spin.
      asio::steady_timer pause{context_, std::chrono::seconds{1}};
      co_await pause.async_wait(into(error));
    }
    if (client) asio::co_spawn(context_, serve(door, std::move(client)), asio::detached);
  }
}

Result<UniqueFd> ApplicationSockets::what(Answer::With with, SlaveId slave) {
  if (with == Answer::With::nothing) return UniqueFd{};
  if (with == Answer::With::map) return controller_.socket_map(slave);
  UniqueFd socket{::socket(AF_XDP, SOCK_RAW | SOCK_CLOEXEC, 0)};
  if (!socket) return kernel_error("open an AF_XDP socket", errno);
  return socket;
}

asio::awaitable<void> ApplicationSockets::serve(std::shared_ptr<Door> door, UniqueFd client) {
  bool admitted = false;
  const auto handshake_of = [&]() -> Result<Handshake> {
    const auto reading = controller_.reading();
    const auto inside = controller_.is_inside(door->slave, client);
    if (!inside) return std::unexpected(inside.error());
    admitted = *inside;
    const Slave* slave = controller_.state().slave(door->slave);
    if (!slave) return Handshake{"", std::nullopt, false};
    if (slave->via != Via::direct) return Handshake{slave->name.str(), std::nullopt, admitted};
    return Handshake{controller_.state().port(slave->master)->name.str(), slave->master, admitted};
  };
  auto handshake = handshake_of();
  if (!handshake) {
    log_trouble(Error{handshake.error()}.within(fmt::format("slave {}", number(door->slave))));
    co_return;
  }
  std::size_t& present = admitted ? door->clients : door->strangers;
  if (present == kMostClients) co_return;
  Descriptor connection{context_, client.release()};
  asio::steady_timer patience{context_};
  ++present;
  while (true) {
    patience.expires_after(kPatience);
    patience.async_wait([&connection](ErrorCode over) {
      if (!over) connection.cancel();
    });
    ErrorCode error;
    co_await connection.async_wait(Descriptor::wait_read, into(error));
    const auto message = error ? std::nullopt : receive(connection.native_handle());
    if (!message) break;
    Answer answer = message->text.size() > Handshake::kMostBytes ? Answer{.text = "/nak", .ends = true}
                                                                 : handshake->answer(message->text);
    if (answer.busy_poll && !set_busy_poll(message->passed, *answer.busy_poll))
      answer.text = kBusyPollRefused;
    auto handed = what(answer.with, door->slave);
    if (!handed) {
      log_trouble(handed.error());
      handed = UniqueFd{};
      answer = {.text = std::string{kHandshakeError}, .ends = true};
    }
    if (!send(connection.native_handle(), answer.text, *handed) || answer.ends) break;
  }
  --present;
}

}  // namespace ipvlanx::daemon
