// SPDX-License-Identifier: Apache-2.0
// The API's words for why a packet was dropped: a closed list, as enum ipvx_drop.
#pragma once

#include <array>
#include <string_view>

#include "ipvlanx/datapath_abi.h"

namespace ipvlanx {

inline constexpr std::array<std::string_view, IPVX_DROP_REASONS> kDropReasons = {
    "truncated",     // IPVX_DROP_TRUNCATED
    "pause",         // IPVX_DROP_PAUSE
    "no_slave",      // IPVX_DROP_NO_SLAVE
    "clone_failed",  // IPVX_DROP_CLONE_FAILED
    "fanout_full",   // IPVX_DROP_FANOUT_FULL
    "fanout_lost",   // IPVX_DROP_FANOUT_LOST
    "private",       // IPVX_DROP_PRIVATE
    "group",         // IPVX_DROP_GROUP
    "not_ip",        // IPVX_DROP_NOT_IP
    "host",          // IPVX_DROP_HOST
};

}  // namespace ipvlanx
