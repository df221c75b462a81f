// SPDX-License-Identifier: Apache-2.0
// Why did libbpf fail, in its own words?
#pragma once

#include <string_view>

#include "ipvlanx/base/result.h"

namespace ipvlanx {

// libbpf explains itself through one callback of the whole process: from now on to us.
void listen_to_libbpf();
// Before a load: what it says from now on belongs into the error that follows.
void forget_libbpf();
// kernel_refused; `error` is an errno.
std::unexpected<Error> libbpf_error(std::string_view what, int error);

}  // namespace ipvlanx
