// SPDX-License-Identifier: Apache-2.0
// Does the host's netfilter drop what no rule of it names?
#pragma once

#include <string>
#include <vector>

namespace ipvlanx {

// Base chains at the FORWARD hook whose policy is to drop, of nftables and of legacy
// iptables, as a person names them: "nftables chain 'inet filter forward'". Of the
// namespace of the calling thread; those that may not be read are left out.
std::vector<std::string> dropping_forward_chains();

}  // namespace ipvlanx
