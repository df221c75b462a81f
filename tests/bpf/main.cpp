// SPDX-License-Identifier: Apache-2.0
// Where do these tests run? In a mount and a network namespace of their own, on a
// bpffs of their own: nothing of the machine is touched, nothing outlives them.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_session.hpp>
#else
#define CATCH_CONFIG_RUNNER
#include <catch2/catch.hpp>
#endif

#include <cerrno>
#include <cstdio>

#include "machine.h"
#include "pinned.h"

int main(int argc, char** argv) {
  constexpr int kSkipped = 77;
  if (const int error = ipvlanx::test::enter_private_machine(); error != 0) {
    errno = error;
    std::perror("bpf_tests: need root and CAP_SYS_ADMIN for namespaces and a bpffs of their own");
    return error == EPERM ? kSkipped : 1;
  }
  Catch::Session session;
  if (const int misused = session.applyCommandLine(argc, argv); misused != 0) return misused;
  if (!ipvlanx::test::has_tcx()) {
    std::puts("bpf_tests: this kernel has no TCX: without the cases that are tagged [tcx]");
    session.configData().testsOrTags.emplace_back("~[tcx]");
  }
  return session.run();
}
