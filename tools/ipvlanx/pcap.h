// SPDX-License-Identifier: Apache-2.0
// A trace for Wireshark and tcpdump.
#pragma once

#include <chrono>
#include <string>

#include "ipvlanx/api/replies.h"
#include "ipvlanx/base/result.h"

namespace ipvlanx::cli {

// A capture file (draft-ietf-opsawg-pcap, link type Ethernet) of the frame as it was sent and, where it
// is another then, as it leaves. bad_json: the reply has no frames. Pure.
Result<std::string> pcap_of(const api::TraceReply& trace, std::chrono::system_clock::time_point when);

}  // namespace ipvlanx::cli
