// SPDX-License-Identifier: Apache-2.0
#include <bpf/bpf.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "hooks.h"
#include "ipvlanx/datapath/bpf_datapath.h"
#include "ipvlanx/datapath_abi.h"
#include "pins.h"

namespace ipvlanx {

namespace {

// The map may be another build's: of its keys only the first word is believed.
std::vector<IfIndex> masters(const Pins& pins) {
  std::vector<IfIndex> all;
  const UniqueFd ports{bpf_obj_get(pins.map("ipvx_ports").c_str())};
  bpf_map_info info{};
  std::uint32_t size = sizeof info;
  if (!ports || bpf_obj_get_info_by_fd(ports.get(), &info, &size) < 0) return all;
  std::vector<std::uint32_t> key(std::max<std::size_t>(1, (info.key_size + 3) / 4));
  for (void* before = nullptr; bpf_map_get_next_key(ports.get(), before, key.data()) == 0;
       before = key.data()) {
    all.push_back(IfIndex{key[0]});
  }
  return all;
}

}  // namespace

Result<void> purge_datapath(const DatapathOptions& options) {
  std::error_code error;
  if (!std::filesystem::exists(options.pin_root, error)) return {};
  const auto pins = Pins::open(options.pin_root, options.allow_private_bpffs);
  if (!pins) return std::unexpected(pins.error());

  const UniqueFd program{bpf_obj_get(pins->program("ipvx_master_rx").c_str())};
  const Hooks hooks = Hooks::probe(program.get());
  for (const IfIndex master : masters(*pins)) {
    const Hook hook{master, Direction::ingress, pins->link(master, "master_rx")};
    if (auto done = hooks.detach(hook); !done) return done;
  }
  // What else is attached goes with its pin, or with its interface.
  std::filesystem::remove_all(options.pin_root, error);
  if (error) return kernel_error(fmt::format("pin root {}", options.pin_root), error.value());
  return {};
}

}  // namespace ipvlanx
