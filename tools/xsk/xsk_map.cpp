// SPDX-License-Identifier: Apache-2.0
#include "xsk_map.h"

#include <bpf/bpf.h>
#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#include <array>
#include <cerrno>
#include <climits>
#include <cstring>
#include <memory>
#include <optional>

namespace ipvlanx::xsk {

namespace {

// By this name libxdp knows a program that redirects to AF_XDP sockets.
constexpr std::string_view kProgram = "xsk_def_prog";

std::unexpected<Error> refuse(std::string message) {
  return fail(Errc::kernel_refused, std::move(message));
}

std::string program_of(const xdp_multiprog* programs) {
  if (xdp_multiprog__is_legacy(programs)) {
    return xdp_program__name(xdp_multiprog__main_prog(programs));
  }
  std::string name;
  const xdp_program* program = nullptr;
  while ((program = xdp_multiprog__next_prog(program, programs))) {
    name = xdp_program__name(program);
    if (name == kProgram) break;
  }
  return name;
}

// libxdp loads its own program onto an interface without one: nobody shall be surprised by that.
Result<void> check_program(const OfProgram& wanted, const Interface& interface) {
  const std::unique_ptr<xdp_multiprog, decltype(&xdp_multiprog__close)> programs{
      xdp_multiprog__get_from_ifindex(static_cast<int>(number(interface.index))), [](xdp_multiprog* each) {
        if (libxdp_get_error(each) == 0) xdp_multiprog__close(each);
      }};
  const int error = static_cast<int>(-libxdp_get_error(programs.get()));
  if (error == EPERM) {
    return refuse(
        fmt::format("finding the XDP program of '{}' takes CAP_SYS_ADMIN: be root, or say --map or --socket",
                    interface.name));
  }
  if (error == ENOENT) {
    if (wanted.may_load) return {};
    return refuse(
        fmt::format("interface '{}' has no XDP program: is it a slave `via afxdp`? On any other interface, "
                    "--load gives it libxdp's for as long as this process lives",
                    interface.name));
  }
  if (error != 0) return kernel_error(fmt::format("XDP program of '{}'", interface.name), error);
  if (const auto name = program_of(programs.get()); name != kProgram) {
    return refuse(
        fmt::format("interface '{}' has an XDP program, '{}', that knows nothing of AF_XDP sockets: "
                    "`bpftool net` says whose it is",
                    interface.name, name));
  }
  return {};
}

Result<UniqueFd> open_pinned(const std::string& path) {
  UniqueFd map{bpf_obj_get(path.c_str())};
  if (map) return map;
  switch (errno) {
    case ENOENT:
      return refuse(
          fmt::format("no map is pinned at '{}': a slave `via afxdp` has one in "
                      "/sys/fs/bpf/ipvlanx/slaves/<id>/, not seen where /sys is another",
                      path));
    case EACCES:
    case EPERM:
      return refuse(fmt::format(
          "the map '{}' is not for this user: its owner can change the file's mode or group", path));
    default:
      return kernel_error(fmt::format("map '{}'", path), errno);
  }
}

Result<void> check_type(const UniqueFd& map, std::string_view what) {
  bpf_map_info info{};
  __u32 size = sizeof info;
  if (bpf_obj_get_info_by_fd(map.get(), &info, &size) < 0) return kernel_error(what, errno);
  if (info.type == BPF_MAP_TYPE_XSKMAP) return {};
  return refuse(
      fmt::format("{} is no map for AF_XDP sockets (XSKMAP): `bpftool map show` says what it is", what));
}

// One message of the protocol: text, and possibly a descriptor.
struct Message {
  std::string text;
  UniqueFd fd = {};
};

class Control {
 public:
  explicit Control(msghdr& header) {
    header.msg_control = bytes_.data();
    header.msg_controllen = bytes_.size();
  }

 private:
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> bytes_{};
};

bool send_message(int server, std::string_view text, std::optional<int> fd = {}) {
  iovec part{const_cast<char*>(text.data()), text.size()};
  msghdr header{.msg_iov = &part, .msg_iovlen = 1};
  std::optional<Control> control;
  if (fd) {
    control.emplace(header);
    cmsghdr* const rights = CMSG_FIRSTHDR(&header);
    rights->cmsg_level = SOL_SOCKET;
    rights->cmsg_type = SCM_RIGHTS;
    rights->cmsg_len = CMSG_LEN(sizeof *fd);
    std::memcpy(CMSG_DATA(rights), &*fd, sizeof *fd);
  }
  return sendmsg(server, &header, MSG_NOSIGNAL) == static_cast<ssize_t>(text.size());
}

std::optional<Message> receive_message(int server) {
  std::array<char, 128> text{};
  iovec part{text.data(), text.size()};
  msghdr header{.msg_iov = &part, .msg_iovlen = 1};
  Control control{header};
  const ssize_t size = recvmsg(server, &header, MSG_CMSG_CLOEXEC);
  if (size <= 0) {
    if (size == 0) errno = ECONNRESET;
    return {};
  }
  Message message{.text = {text.data(), static_cast<std::size_t>(size)}};
  const cmsghdr* const rights = CMSG_FIRSTHDR(&header);
  if (rights && rights->cmsg_type == SCM_RIGHTS && rights->cmsg_len == CMSG_LEN(sizeof(int))) {
    int fd = -1;
    std::memcpy(&fd, CMSG_DATA(rights), sizeof fd);
    message.fd = UniqueFd{fd};
  }
  return message;
}

Result<Message> ask(int server, const std::string& name, std::string_view question, std::string_view wanted,
                    std::optional<int> fd = {}) {
  auto answer = send_message(server, question, fd) ? receive_message(server) : std::nullopt;
  if (!answer) {
    return kernel_error(fmt::format("the server at '{}' does not answer '{}'", name, question), errno);
  }
  if (!wanted.empty() && answer->text != wanted) {
    return refuse(
        fmt::format("the server at '{}' refuses '{}' ('{}'): is it the socket of this interface's slave?",
                    name, question, answer->text));
  }
  return *std::move(answer);
}

Result<UniqueFd> connect_to(const std::string& path) {
  sockaddr_un address{.sun_family = AF_UNIX};
  if (path.size() >= sizeof address.sun_path) {
    return refuse(fmt::format("the path '{}' is longer than a unix socket's can be", path));
  }
  path.copy(address.sun_path, path.size());
  UniqueFd server{socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)};
  const timeval patience{.tv_sec = 2};
  setsockopt(server.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  setsockopt(server.get(), SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
  if (connect(server.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) < 0) {
    return kernel_error(fmt::format("nobody serves AF_XDP maps at '{}'", path), errno);
  }
  return server;
}

std::string host_name() {
  std::array<char, HOST_NAME_MAX + 1> name{};
  gethostname(name.data(), name.size() - 1);
  return name.data();
}

}  // namespace

Result<XskMap> XskMap::open(const MapSource& source, const Interface& interface) {
  XskMap map;
  if (std::holds_alternative<SendOnly>(source)) {
    map.receives_ = false;
    return map;
  }
  if (const auto* of_program = std::get_if<OfProgram>(&source)) {
    if (auto checked = check_program(*of_program, interface); !checked) {
      return std::unexpected(checked.error());
    }
    return map;
  }
  if (const auto* pinned = std::get_if<Pinned>(&source)) {
    auto opened = open_pinned(pinned->path);
    if (!opened) return std::unexpected(opened.error());
    map.map_ = *std::move(opened);
    map.name_ = pinned->path;
  } else if (auto taken = map.take_served(std::get<Served>(source).path, interface); !taken) {
    return std::unexpected(taken.error());
  }
  if (auto checked = check_type(map.map_, fmt::format("'{}'", map.name_)); !checked) {
    return std::unexpected(checked.error());
  }
  return map;
}

Result<void> XskMap::take_served(const std::string& path, const Interface& interface) {
  auto server = connect_to(path);
  if (!server) return std::unexpected(server.error());
  server_ = *std::move(server);
  name_ = path;

  const auto hello = ask(server_.get(), name_, fmt::format("/connect,{}", host_name()), "/host_ok");
  if (!hello) return std::unexpected(hello.error());
  const auto version = ask(server_.get(), name_, "/version", "0.1");
  if (!version) return std::unexpected(version.error());
  auto map = ask(server_.get(), name_, fmt::format("/xsk_map_fd,{}", interface.name), "/fd_ack");
  if (!map) return std::unexpected(map.error());
  if (!map->fd) return refuse(fmt::format("the server at '{}' has sent no map", name_));
  map_ = std::move(map->fd);
  return {};
}

Result<void> XskMap::insert(std::uint32_t queue, int socket) {
  if (bpf_map_update_elem(map_.get(), &queue, &socket, BPF_ANY) == 0) return {};
  if (errno == E2BIG) return refuse(fmt::format("'{}' has no place for queue {}", name_, queue));
  return kernel_error(fmt::format("'{}': queue {}", name_, queue), errno);
}

Result<void> XskMap::set_busy_poll(int socket, int microseconds, int budget) {
  const auto question = fmt::format("/config_busy_poll,{},{}", microseconds, budget);
  const auto done = ask(server_.get(), name_, question, "/config_busy_poll_ack", socket);
  if (!done) return std::unexpected(done.error());
  return {};
}

Result<void> XskMap::finish() {
  if (!server_) return {};
  const auto bye = ask(server_.get(), name_, "/fin", "/fin_ack");
  if (!bye) return std::unexpected(bye.error());
  server_ = {};
  return {};
}

}  // namespace ipvlanx::xsk
