// SPDX-License-Identifier: Apache-2.0
// The machine the tests run on: the host's network namespace, one for containers,
// a bpffs, and the interfaces that a test makes. Single-threaded.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "ipvlanx/model/types.h"

namespace ipvlanx::test {

inline constexpr const char* kBpffs = "/sys/fs/bpf";

// In the environment: to this process and its children the kernel refuses TCX links.
inline constexpr const char* kWithoutTcx = "IPVLANX_TESTS_WITHOUT_TCX";

// Called once, by main. Returns 0 or an errno.
int enter_private_machine();

enum class Space { host, container };

// What `ip -batch` does with these lines there. Throws what ip said.
void ip(Space space, std::string_view lines);

// Removes every interface that `ip link set … group 6970` marked.
void remove_interfaces();

void inside(Space space, const std::function<void()>& work);

// 0 where there is none.
IfIndex index_of(Space space, const std::string& interface);

// An interface that was set up sends nothing before the kernel, some time later, has
// seen its carrier.
void wait_for_carrier(Space space, const std::string& interface);

// What this command prints, in the host's namespace. Throws unless it exits with 0.
std::string output_of(const std::string& command);

}  // namespace ipvlanx::test
