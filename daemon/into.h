// SPDX-License-Identifier: Apache-2.0
// The token for co_await that makes Asio's errors values instead of exceptions.
#pragma once

#include "ipvlanx/base/asio.h"

namespace ipvlanx::daemon {

inline auto into(boost::system::error_code& error) {
  return boost::asio::redirect_error(boost::asio::use_awaitable, error);
}

}  // namespace ipvlanx::daemon
