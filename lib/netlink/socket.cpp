// SPDX-License-Identifier: Apache-2.0
#include "socket.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>
#include <optional>

#include "ipvlanx/base/in_netns.h"

namespace ipvlanx {

namespace {

// The kernel fills at most 32 KiB into one part of a dump.
constexpr std::size_t kReceiveBuffer = 32768;

// How often a dump is begun again because what it lists changed meanwhile.
constexpr int kDumpAttempts = 20;

KernelError last_error() {
  return {.number = errno};
}

bool set_option(int fd, int option) {
  const int on = 1;
  return ::setsockopt(fd, SOL_NETLINK, option, &on, sizeof on) == 0;
}

// The verdict in NLMSG_ERROR or NLMSG_DONE; nothing if it is "done".
std::optional<KernelError> verdict(const nlmsghdr& message) {
  const Reply reply{message};
  if (message.nlmsg_type == NLMSG_ERROR) {
    const auto error = reply.header<nlmsgerr>();
    if (error.error == 0) return std::nullopt;
    const bool explained = (message.nlmsg_flags & NLM_F_ACK_TLVS) != 0;
    return KernelError{.number = -error.error,
                       .text = explained ? std::string{reply.attributes<nlmsgerr>().text(NLMSGERR_ATTR_MSG)}
                                         : std::string{}};
  }
  const int error = reply.header<int>();
  if (error >= 0) return std::nullopt;
  return KernelError{.number = -error, .text = std::string{reply.attributes<int>().text(NLMSGERR_ATTR_MSG)}};
}

}  // namespace

std::string sentence(std::string_view what, const KernelError& error) {
  auto said = std::move(kernel_error(what, error.number).error().message);
  return error.text.empty() ? said : fmt::format("{} ({})", said, error.text);
}

std::unexpected<Error> refused(std::string_view what, const KernelError& error) {
  return fail(Errc::kernel_refused, sentence(what, error));
}

Result<NetlinkSocket> NetlinkSocket::open(int protocol) {
  UniqueFd fd{::socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol)};
  if (!fd) return kernel_error("netlink: open a socket", errno);
  // Without strict checking a dump ignores the namespace and interface it is asked for.
  if (!set_option(fd.get(), NETLINK_GET_STRICT_CHK) || !set_option(fd.get(), NETLINK_EXT_ACK) ||
      !set_option(fd.get(), NETLINK_CAP_ACK)) {
    return kernel_error("netlink: set up a socket", errno);
  }
  return NetlinkSocket{std::move(fd)};
}

Result<NetlinkSocket> NetlinkSocket::open_in(const UniqueFd& netns, int protocol) {
  Result<NetlinkSocket> socket = kernel_error("enter a network namespace", EAGAIN);
  if (auto been = in_netns(netns, [&] { socket = open(protocol); }); !been)
    return std::unexpected(been.error());
  return socket;
}

Result<UniqueFd> NetlinkSocket::netns() const {
  UniqueFd netns{::ioctl(fd_.get(), SIOCGSKNS)};
  if (!netns) return kernel_error("open the host's network namespace", errno);
  return netns;
}

struct NetlinkSocket::Exchange {
  std::vector<Reply> replies = {};
  bool interrupted = false;  // the list changed while it was dumped
};

Answer<NetlinkSocket::Exchange> NetlinkSocket::exchange(Request& request, std::uint16_t flags) {
  auto* message = request.message();
  message->nlmsg_flags |= NLM_F_REQUEST | flags;
  message->nlmsg_seq = ++sequence_;
  const sockaddr_nl kernel{.nl_family = AF_NETLINK, .nl_pad = 0, .nl_pid = 0, .nl_groups = 0};
  if (::sendto(fd_.get(), message, message->nlmsg_len, 0, reinterpret_cast<const sockaddr*>(&kernel),
               sizeof kernel) < 0) {
    return std::unexpected(last_error());
  }

  Exchange exchange;
  std::vector<char> buffer(kReceiveBuffer);
  while (true) {
    // MSG_TRUNC: the true length, also of what does not fit.
    const auto received = ::recv(fd_.get(), buffer.data(), buffer.size(), MSG_TRUNC);
    if (received < 0 && errno == EINTR) continue;
    if (received < 0) return std::unexpected(KernelError{.number = errno, .unheard = true});
    if (static_cast<std::size_t>(received) > buffer.size()) {
      return std::unexpected(KernelError{.number = EMSGSIZE});
    }

    int rest = static_cast<int>(received);
    for (const auto* part = reinterpret_cast<const nlmsghdr*>(buffer.data()); mnl_nlmsg_ok(part, rest);
         part = mnl_nlmsg_next(part, &rest)) {
      // Left over from an exchange that ended early.
      if (part->nlmsg_seq != sequence_) continue;
      if ((part->nlmsg_flags & NLM_F_DUMP_INTR) != 0) exchange.interrupted = true;
      if (part->nlmsg_type == NLMSG_ERROR || part->nlmsg_type == NLMSG_DONE) {
        if (auto error = verdict(*part)) return std::unexpected(std::move(*error));
        return exchange;
      }
      exchange.replies.emplace_back(*part);
    }
  }
}

Answer<void> NetlinkSocket::tell(Request request) {
  auto exchanged = exchange(request, NLM_F_ACK);
  // All that we tell the kernel may be told twice: what is so already, is gone already or
  // exists already, each caller knows.
  if (!exchanged && exchanged.error().unheard) exchanged = exchange(request, NLM_F_ACK);
  if (!exchanged) return std::unexpected(exchanged.error());
  return {};
}

Answer<Reply> NetlinkSocket::ask(Request request) {
  auto exchanged = exchange(request, NLM_F_ACK);
  if (!exchanged) return std::unexpected(exchanged.error());
  if (exchanged->replies.empty()) return std::unexpected(KernelError{.number = ENODATA});
  return std::move(exchanged->replies.front());
}

// One that was not read to its end, for an error: the kernel begins no other one before.
void NetlinkSocket::end_last_dump() {
  std::vector<char> scrap(kReceiveBuffer);
  while (::recv(fd_.get(), scrap.data(), scrap.size(), MSG_DONTWAIT) > 0) continue;
}

Answer<std::vector<Reply>> NetlinkSocket::dump(Request request) {
  for (int attempt = 0; attempt < kDumpAttempts; ++attempt) {
    auto exchanged = exchange(request, NLM_F_DUMP);
    if (!exchanged && exchanged.error().number == EBUSY) {
      end_last_dump();
      continue;
    }
    if (!exchanged) return std::unexpected(exchanged.error());
    if (!exchanged->interrupted) return std::move(exchanged->replies);
  }
  return std::unexpected(KernelError{.number = EINTR, .text = "the list kept changing while it was read"});
}

}  // namespace ipvlanx
