// SPDX-License-Identifier: Apache-2.0
// Where does a client call from?
#pragma once

#include "ipvlanx/base/result.h"
#include "ipvlanx/base/unique_fd.h"

namespace ipvlanx {

// Whether the other end of this accepted AF_UNIX connection was opened in `netns` (none: in the
// calling thread's): what accept() returns is of the client's namespace
// (unix_stream_connect()), and sock_diag finds it in that one alone. A process number may be
// another process's by the time it is looked at, and to look takes more capabilities.
Result<bool> is_opened_in(const UniqueFd& accepted, const UniqueFd& netns);

}  // namespace ipvlanx
