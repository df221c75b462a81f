// SPDX-License-Identifier: Apache-2.0
// ipvlanx-xsk: how a packet application uses an AF_XDP slave, in one small program.
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <xdp/libxdp.h>

#include <cstdio>

#include "arguments.h"
#include "work.h"

namespace {

// Both libraries speak on stderr; what matters of it, the program's own sentences say.
void be_silent() {
  libbpf_set_print([](libbpf_print_level, const char*, va_list) { return 0; });
  libxdp_set_print([](libxdp_print_level, const char*, va_list) { return 0; });
}

}  // namespace

int main(int argc, char** argv) {
  be_silent();
  const auto arguments = ipvlanx::xsk::read_arguments(argc, argv);
  if (!arguments) {
    fmt::print(arguments.error().status == 0 ? stdout : stderr, "{}", arguments.error().text);
    return arguments.error().status;
  }
  const auto done = ipvlanx::xsk::work(*arguments);
  if (done) return 0;
  fmt::print(stderr, "Error: {}\n", done.error().message);
  return 2;
}
