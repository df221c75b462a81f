// SPDX-License-Identifier: Apache-2.0
// What of a name may go to a terminal, or into a log? Tenants name their interfaces and
// namespaces, and neither an escape sequence nor a line of their own may get there.
#pragma once

#include <string>
#include <string_view>

namespace ipvlanx {

// Printable ASCII as it is, a backslash doubled, every other byte as \xNN.
std::string printable(std::string_view text);

}  // namespace ipvlanx
