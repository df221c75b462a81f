// SPDX-License-Identifier: Apache-2.0
// How does one ask rtnetlink something, and what does it answer?
#pragma once

#include <linux/netlink.h>

#include <string>
#include <string_view>
#include <vector>

#include "ipvlanx/base/result.h"
#include "ipvlanx/base/unique_fd.h"
#include "message.h"

namespace ipvlanx {

// What the kernel said instead of yes. Only who asked knows what the number means.
struct KernelError {
  int number = 0;
  std::string text = {};  // the extended acknowledgement, or empty
  bool unheard = false;   // the kernel has answered, but for want of memory the answer was lost
};

template <class T>
using Answer = std::expected<T, KernelError>;

// The kernel's no as ours: "<what>: File exists (<the kernel's own text>)".
std::unexpected<Error> refused(std::string_view what, const KernelError& error);
// The same when the code says more than that the kernel refused.
std::string sentence(std::string_view what, const KernelError& error);

// A blocking netlink socket in one network namespace. One question at a time,
// so of one thread at a time.
class NetlinkSocket {
 public:
  // In the namespace of the calling thread.
  static Result<NetlinkSocket> open(int protocol = NETLINK_ROUTE);
  // In the namespace of this descriptor; the calling thread stays where it is.
  static Result<NetlinkSocket> open_in(const UniqueFd& netns, int protocol = NETLINK_ROUTE);

  // A change: done, or why not.
  Answer<void> tell(Request request);
  // A question with one answer. No answer at all counts as ENODATA.
  Answer<Reply> ask(Request request);
  // A question with any number of answers, consistent among themselves.
  Answer<std::vector<Reply>> dump(Request request);

  // The namespace the socket is in.
  Result<UniqueFd> netns() const;

 private:
  explicit NetlinkSocket(UniqueFd fd) : fd_(std::move(fd)) {}

  struct Exchange;
  Answer<Exchange> exchange(Request& request, std::uint16_t flags);
  void end_last_dump();

  UniqueFd fd_;
  std::uint32_t sequence_ = 0;
};

}  // namespace ipvlanx
