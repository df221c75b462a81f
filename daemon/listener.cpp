// SPDX-License-Identifier: Apache-2.0
#include "listener.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>

#include "directory.h"

namespace ipvlanx::daemon {

namespace {

std::unexpected<Error> socket_error(const std::string& path) {
  return kernel_error(fmt::format("socket '{}'", path), errno);
}

Result<sockaddr_un> address_of(const std::string& path) {
  sockaddr_un address{.sun_family = AF_UNIX};
  if (path.empty() || path.size() >= sizeof address.sun_path) {
    return fail(Errc::kernel_refused, fmt::format("socket '{}': the path must have 1 to {} characters", path,
                                                  sizeof address.sun_path - 1));
  }
  path.copy(address.sun_path, path.size());
  return address;
}

const sockaddr* as_sockaddr(const sockaddr_un& address) {
  return reinterpret_cast<const sockaddr*>(&address);
}

Result<UniqueFd> open_socket(const std::string& path) {
  UniqueFd fd{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)};
  if (!fd) return socket_error(path);
  return fd;
}

// 0: nothing is there. A socket's file keeps its number for as long as the socket is open.
ino_t inode_at(const std::string& path) {
  struct stat file{};
  return ::lstat(path.c_str(), &file) == 0 ? file.st_ino : 0;
}

// Nobody listens on a file that refuses connections: its daemon is dead.
Result<void> remove_stale(const std::string& path, const sockaddr_un& address) {
  struct stat file{};
  if (::lstat(path.c_str(), &file) != 0) {
    if (errno == ENOENT) return {};
    return socket_error(path);
  }
  if (!S_ISSOCK(file.st_mode)) {
    return fail(Errc::kernel_refused, fmt::format("'{}' exists and is not a socket", path));
  }

  const auto probe = open_socket(path);
  if (!probe) return std::unexpected(probe.error());
  if (::connect(probe->get(), as_sockaddr(address), sizeof address) == 0 || errno == EAGAIN) {
    return fail(Errc::kernel_refused, fmt::format("another daemon serves '{}'", path));
  }
  if (errno != ECONNREFUSED) return socket_error(path);
  if (::unlink(path.c_str()) != 0 && errno != ENOENT) return socket_error(path);
  return {};
}

}  // namespace

Result<Listener> Listener::open(const std::string& path, std::optional<gid_t> group) {
  const auto address = address_of(path);
  if (!address) return std::unexpected(address.error());
  const std::size_t slash = path.rfind('/');
  if (slash != path.npos && slash != 0) {
    if (auto made = make_directory(path.substr(0, slash), 0755); !made) return std::unexpected(made.error());
  }
  if (auto removed = remove_stale(path, *address); !removed) return std::unexpected(removed.error());

  auto fd = open_socket(path);
  if (!fd) return std::unexpected(fd.error());
  if (::bind(fd->get(), as_sockaddr(*address), sizeof *address) != 0) return socket_error(path);
  Listener listener{path, std::move(*fd), inode_at(path)};

  // Before listen() nobody can connect, whatever the mode was at first.
  if (group && ::chown(path.c_str(), static_cast<uid_t>(-1), *group) != 0) return socket_error(path);
  if (::chmod(path.c_str(), 0660) != 0) return socket_error(path);
  if (::listen(listener.fd(), SOMAXCONN) != 0) return socket_error(path);
  return listener;
}

Result<Listener> Listener::adopt(UniqueFd socket) {
  sockaddr_un address{};
  socklen_t size = sizeof address;
  int listens = 0;
  socklen_t listens_size = sizeof listens;
  if (::getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size) != 0 ||
      ::getsockopt(socket.get(), SOL_SOCKET, SO_ACCEPTCONN, &listens, &listens_size) != 0) {
    return socket_error("handed over");
  }
  if (address.sun_family != AF_UNIX || !listens) {
    return fail(Errc::kernel_refused, "the socket handed over is no unix socket that listens");
  }
  return Listener{address.sun_path, std::move(socket), 0};
}

Listener& Listener::operator=(Listener&& other) noexcept {
  Listener taken{std::move(other)};  // ends with what we held
  std::swap(path_, taken.path_);
  std::swap(fd_, taken.fd_);
  std::swap(file_, taken.file_);
  return *this;
}

Listener::~Listener() {
  if (fd_ && file_ != 0 && inode_at(path_) == file_) ::unlink(path_.c_str());
}

}  // namespace ipvlanx::daemon
