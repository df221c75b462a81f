// SPDX-License-Identifier: Apache-2.0
// What of a name may go to a terminal? Tenants name their interfaces and namespaces,
// and an escape sequence in a name must not reach the administrator's terminal.
#pragma once

#include <string>
#include <string_view>

namespace ipvlanx::cli {

// Printable ASCII as it is, a backslash doubled, every other byte as \xNN.
std::string printable(std::string_view text);

}  // namespace ipvlanx::cli
