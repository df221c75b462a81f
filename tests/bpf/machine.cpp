// SPDX-License-Identifier: Apache-2.0
#include "machine.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/bpf.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <stdexcept>

#include "ipvlanx/base/unique_fd.h"

namespace ipvlanx::test {

namespace {

UniqueFd& namespace_of(Space space) {
  static std::array<UniqueFd, 2> spaces;
  return spaces[space == Space::host ? 0 : 1];
}

UniqueFd current_namespace() {
  return UniqueFd{::open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC)};
}

void change_to(Space space) {
  if (::setns(namespace_of(space).get(), CLONE_NEWNET) < 0) std::abort();
}

// Frames nobody asked for would be counted with those of the tests.
void silence_ipv6() {
  std::ofstream{"/proc/sys/net/ipv6/conf/default/disable_ipv6"} << "1\n";
}

int make_namespace(Space space) {
  if (::unshare(CLONE_NEWNET) < 0) return errno;
  silence_ipv6();
  namespace_of(space) = current_namespace();
  return namespace_of(space) ? 0 : errno;
}

// bpf(BPF_LINK_CREATE, …) fails as it does for an attach type the kernel does not know.
int refuse_links() {
  constexpr auto kCommand = static_cast<std::uint32_t>(offsetof(seccomp_data, args[0]));
  sock_filter rules[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_bpf, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, kCommand),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, BPF_LINK_CREATE, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EINVAL),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog filter{static_cast<unsigned short>(std::size(rules)), rules};
  if (::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0) return errno;
  return ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter, 0, 0) < 0 ? errno : 0;
}

}  // namespace

int enter_private_machine() {
  if (std::getenv(kWithoutTcx) != nullptr) {
    if (const int error = refuse_links(); error != 0) return error;
  }
  if (::unshare(CLONE_NEWNS) < 0) return errno;
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) < 0) return errno;
  if (::mount("bpf", kBpffs, "bpf", 0, "mode=0700") < 0) return errno;
  if (const int error = make_namespace(Space::container); error != 0) return error;
  if (const int error = make_namespace(Space::host); error != 0) return error;
  ip(Space::host, "link set lo up\n");
  ip(Space::container, "link set lo up\n");
  return 0;
}

void ip(Space space, std::string_view lines) {
  // In the container's namespace only the child is: `netns PID` with this process'
  // id names the host's namespace.
  int in[2];
  int out[2];
  if (::pipe2(in, O_CLOEXEC) < 0 || ::pipe2(out, O_CLOEXEC) < 0) throw std::runtime_error("pipe");
  const pid_t child = ::fork();
  if (child == 0) {
    change_to(space);
    ::dup2(in[0], STDIN_FILENO);
    ::dup2(out[1], STDOUT_FILENO);
    ::dup2(out[1], STDERR_FILENO);
    ::execlp("ip", "ip", "-batch", "-", nullptr);
    ::_exit(127);
  }
  const UniqueFd read_end{in[0]}, said_end{out[0]};
  ::close(out[1]);
  {
    const UniqueFd write_end{in[1]};
    if (::write(write_end.get(), lines.data(), lines.size()) < 0) throw std::runtime_error("write to ip");
  }
  std::string said;
  char buffer[512];
  for (ssize_t got = 0; (got = ::read(said_end.get(), buffer, sizeof buffer)) > 0;)
    said.append(buffer, static_cast<std::size_t>(got));
  int status = 0;
  ::waitpid(child, &status, 0);
  if (status != 0) throw std::runtime_error(fmt::format("ip: {}\n{}", said, lines));
}

void remove_interfaces() {
  try {
    ip(Space::host, "link del group 6970\n");
  } catch (const std::runtime_error&) {
    // There was none.
  }
}

void inside(Space space, const std::function<void()>& work) {
  change_to(space);
  try {
    work();
  } catch (...) {
    change_to(Space::host);
    throw;
  }
  change_to(Space::host);
}

IfIndex index_of(Space space, const std::string& interface) {
  IfIndex index{};
  inside(space, [&] { index = IfIndex{::if_nametoindex(interface.c_str())}; });
  return index;
}

void wait_for_carrier(Space space, const std::string& interface) {
  inside(space, [&] {
    const UniqueFd socket{::socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0)};
    ifreq request{};
    interface.copy(request.ifr_name, IFNAMSIZ - 1);
    for (int i = 0; i < 5000; ++i) {
      if (::ioctl(socket.get(), SIOCGIFFLAGS, &request) == 0 && (request.ifr_flags & IFF_RUNNING)) {
        // Its queue is opened under the same lock that this takes.
        ::ioctl(socket.get(), SIOCSIFFLAGS, &request);
        return;
      }
      ::usleep(1000);
    }
    throw std::runtime_error(interface + " has no carrier");
  });
}

std::string output_of(const std::string& command) {
  std::FILE* pipe = ::popen((command + " 2>&1").c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error(command);
  std::string text;
  char buffer[4096];
  for (std::size_t got = 0; (got = std::fread(buffer, 1, sizeof buffer, pipe)) > 0;) text.append(buffer, got);
  if (::pclose(pipe) != 0) throw std::runtime_error(fmt::format("{}: {}", command, text));
  return text;
}

}  // namespace ipvlanx::test
