// SPDX-License-Identifier: Apache-2.0
// ipvlanx, the command line: words in, data on stdout, talk on stderr, and an exit
// status that says how it went.
#include <fmt/format.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <system_error>
#include <vector>

#include "grammar.h"
#include "ipvlanx/base/printable.h"
#include "run.h"

namespace {

using namespace ipvlanx;
using namespace ipvlanx::cli;

constexpr const char* kSocket = "/run/ipvlanx/api.sock";

// DESIGN.md section 5; scripts rely on them.
enum class Exit { done = 0, usage = 1, refused = 2, no_daemon = 3 };

std::string socket_path(const Invocation& invocation) {
  if (invocation.socket) return *invocation.socket;
  if (const char* path = std::getenv("IPVLANX_SOCKET"); path && *path) return path;
  return kSocket;
}

Exit complain(const Error& error) {
  const auto field = error.field.empty() ? "" : fmt::format(" (field: {})", error.field);
  fmt::print(stderr, "Error: {}\n", printable(error.message + field));
  return error.code == Errc::no_daemon ? Exit::no_daemon : Exit::refused;
}

// What cannot be written, to a full disk perhaps, must not look like success.
Result<void> write_out(const std::string& text) {
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0) return {};
  return kernel_error("stdout", errno);
}

Exit print(const std::string& text) {
  const auto written = write_out(text);
  return written ? Exit::done : complain(written.error());
}

Exit explain(const NoCommand& reason) {
  if (const auto* help = std::get_if<HelpWanted>(&reason)) return print(help->text);
  if (const auto* error = std::get_if<Error>(&reason)) {
    const Exit exit = complain(*error);
    return error->code == Errc::unknown_word ? Exit::usage : exit;
  }

  const auto& misuse = std::get<Misuse>(reason);
  fmt::print(stderr, "Error: {}.\n{}", printable(misuse.what), misuse.usage);
  return Exit::usage;
}

Exit work(Words words) {
  const auto invocation = parse(words);
  if (!invocation) return explain(invocation.error());

  if (std::holds_alternative<Check>(invocation->command)) {
    const Checked checked = check(*invocation);
    const Exit printed = print(checked.text);
    return checked.complete ? printed : Exit::refused;
  }
  if (const auto* all = std::get_if<PurgeAll>(&invocation->command)) {
    const auto purged = purge(*all);
    return purged ? Exit::done : complain(purged.error());
  }
  if (std::holds_alternative<Monitor>(invocation->command)) {
    const auto ended = monitor(socket_path(*invocation), *invocation, write_out);
    return ended ? Exit::done : complain(ended.error());
  }
  auto client = Client::connect(socket_path(*invocation));
  if (!client) return complain(client.error());

  if (const auto* drops = std::get_if<Drops>(&invocation->command); drops && drops->follow) {
    const auto ended = follow_drops(*client, *invocation, write_out);
    return ended ? Exit::done : complain(ended.error());
  }
  const auto output = run(*client, *invocation);
  if (!output) return complain(output.error());
  return print(*output);
}

}  // namespace

int main(int argc, char** argv) {
  const std::vector<std::string_view> words(argv + std::min(argc, 1), argv + argc);
  return static_cast<int>(work(words));
}
