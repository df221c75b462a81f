// SPDX-License-Identifier: Apache-2.0
#include "libbpf_error.h"

#include <bpf/libbpf.h>
#include <fmt/format.h>

#include <cstdarg>
#include <cstdio>
#include <string>
#include <system_error>

namespace ipvlanx {

namespace {

// The first line names the cause, the last only the failure.
std::string& libbpf_said() {
  static std::string text;
  return text;
}

int listen(libbpf_print_level level, const char* format, va_list arguments) {
  if (level != LIBBPF_WARN) return 0;
  char line[512];
  const int length = std::vsnprintf(line, sizeof line, format, arguments);
  constexpr std::size_t kEnough = 1024;
  if (length > 0 && libbpf_said().size() < kEnough) libbpf_said() += line;
  return length;
}

}  // namespace

void listen_to_libbpf() {
  libbpf_set_print(listen);
}

void forget_libbpf() {
  libbpf_said().clear();
}

std::unexpected<Error> libbpf_error(std::string_view what, int error) {
  std::string said = libbpf_said();
  while (said.ends_with('\n')) said.pop_back();
  for (auto at = said.find('\n'); at != said.npos; at = said.find('\n', at)) said.replace(at, 1, "; ");
  return fail(Errc::kernel_refused, fmt::format("{}: {}{}", what, std::generic_category().message(error),
                                                said.empty() ? "" : fmt::format(" ({})", said)));
}

}  // namespace ipvlanx
