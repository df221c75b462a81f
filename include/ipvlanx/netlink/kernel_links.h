// SPDX-License-Identifier: Apache-2.0
// Links on rtnetlink, from the network namespace of the process.
//
// Reading in other namespaces goes by nsid from one socket; everything that sets
// goes by a socket opened inside the namespace on a helper thread, for that one
// request: SETLINK and NEWADDR with a target nsid succeed and change the host's
// interface, and a socket kept open would keep a deleted namespace alive.
#pragma once

#include <memory>

#include "ipvlanx/netlink/links.h"

namespace ipvlanx {

// `settings_record`: the file that remembers what was changed of the host's settings.
Result<std::unique_ptr<Links>> open_kernel_links(const std::string& settings_record);

}  // namespace ipvlanx
