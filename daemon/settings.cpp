// SPDX-License-Identifier: Apache-2.0
#include "settings.h"

#include <CLI/CLI.hpp>

namespace ipvlanx::daemon {

std::expected<Settings, int> read_settings(int argc, char** argv) {
  Settings settings;
  CLI::App app{"ipvlanxd: interfaces that share one NIC and its MAC address", "ipvlanxd"};
  app.set_version_flag("--version", "ipvlanxd " IPVLANX_VERSION);
  app.add_option("--socket", settings.socket, "where to serve the API")->capture_default_str();
  app.add_option("--pin-root", settings.pin_root, "where in bpffs the maps, programs and links are")
      ->capture_default_str();
  app.add_option("--state-dir", settings.state_dir, "where the desired state is kept")->capture_default_str();
  app.add_flag("--allow-private-bpffs", settings.allow_private_bpffs,
               "accept a bpffs that PID 1 does not see: what is pinned there ends with its mount");
  app.add_option("--boot-id", settings.boot, "which boot this is (tests)")->group("");  // not in --help
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    const int status = app.exit(error);  // CLI11 numbers its complaints from 100
    return std::unexpected(status == 0 ? 0 : 1);
  }
  return settings;
}

}  // namespace ipvlanx::daemon
