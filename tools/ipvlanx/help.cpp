// SPDX-License-Identifier: Apache-2.0
#include "help.h"

namespace ipvlanx::cli {

namespace {

constexpr std::string_view kFirst = "Usage: ipvlanx ";
constexpr std::string_view kNext = "       ipvlanx ";

constexpr std::string_view kSynopsis =
    "[ -j[son] ] [ -p[retty] ] [ -s[tatistics] ] [ --socket PATH ]\n"
    "OBJECT { COMMAND | help }";

constexpr std::string_view kNotes =
    "\n"
    "NAME of a slave that exists: the interface's name in its network namespace,\n"
    "  NAME@NETNS where several namespaces have one, or the slave's id. A number is an\n"
    "  id only if no slave bears it as its name.\n"
    "MASTER: the name of the interface that the slaves share.\n"
    "PREFIX: an address with its network's length, such as 10.0.0.5/24.\n"
    "netns: what contains '/' is a path, what is all digits a pid, all else a name.\n";

constexpr std::string_view kGlobalNotes =
    "--socket: where the daemon is; else $IPVLANX_SOCKET, else /run/ipvlanx/api.sock.\n"
    "A command that is left out is `show`.\n"
    "Exit status: 0 done, 1 usage, 2 refused, 3 no daemon.\n";

// `words` with its further lines under the first one's first word.
std::string line(std::string_view start, std::string_view words) {
  std::string out{start};
  for (const char c : words) {
    out += c;
    if (c == '\n') out.append(start.size(), ' ');
  }
  return out + '\n';
}

}  // namespace

std::string usage_of(std::span<const CommandRow> rows) {
  std::string out;
  for (const auto& row : rows) out += line(out.empty() ? kFirst : kNext, row.usage);
  return out;
}

std::string synopsis() {
  return line(kFirst, kSynopsis);
}

std::string help_on(std::span<const CommandRow> rows) {
  return fmt::format("{}{}", usage_of(rows), kNotes);
}

std::string full_help() {
  std::string out = synopsis();
  for (const auto& row : commands()) out += line(kNext, row.usage);
  return fmt::format("{}{}{}", out, kNotes, kGlobalNotes);
}

}  // namespace ipvlanx::cli
