// SPDX-License-Identifier: Apache-2.0
#include "sockets.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <memory>

#include "ipvlanx/base/number.h"
#include "ipvlanx/datapath_abi.h"
#include "libbpf_error.h"
#include "xdp_link.h"
#include "xsk.skel.h"

namespace ipvlanx {

namespace {

struct Destroy {
  void operator()(xsk_bpf* skeleton) const { xsk_bpf__destroy(skeleton); }
};

std::string map_in(const std::string& folder) {
  return folder + "/xsks_map";
}

std::string link_in(const std::string& folder) {
  return folder + "/link";
}

// The program, with the slave's own map: sockets that are in it stay.
Result<std::unique_ptr<xsk_bpf, Destroy>> load(const std::string& folder) {
  forget_libbpf();
  std::unique_ptr<xsk_bpf, Destroy> skeleton{xsk_bpf__open()};
  if (!skeleton) return libbpf_error("open BPF object", errno);
  bpf_map__set_pin_path(skeleton->maps.xsks_map, map_in(folder).c_str());
  if (const int error = xsk_bpf__load(skeleton.get()); error < 0) {
    return libbpf_error("load the program for AF_XDP sockets", -error);
  }
  return skeleton;
}

Result<void> remove(const std::string& path) {
  if (::unlink(path.c_str()) < 0 && errno != ENOENT) return kernel_error(path, errno);
  return {};
}

}  // namespace

Result<void> Sockets::serve(SlaveId slave, IfIndex container_end, const UniqueFd& netns) const {
  const std::string folder = pins_.slave(slave);
  if (::mkdir(folder.c_str(), 0700) < 0 && errno != EEXIST) return kernel_error(folder, errno);
  const auto skeleton = load(folder);
  if (!skeleton) return std::unexpected(skeleton.error());
  // By a link, and no other way: what an application detaches when it ends, as DPDK does, is
  // refused then.
  return attach({container_end, link_in(folder)}, bpf_program__fd((*skeleton)->progs.xsk_def_prog), netns);
}

Result<void> Sockets::serve_direct(SlaveId slave) const {
  const std::string folder = pins_.slave(slave);
  if (::mkdir(folder.c_str(), 0700) < 0 && errno != EEXIST) return kernel_error(folder, errno);
  UniqueFd map{bpf_obj_get(map_in(folder).c_str())};
  if (!map) {
    map = UniqueFd{bpf_map_create(BPF_MAP_TYPE_XSKMAP, "xsks_map", 4, 4, IPVX_QUEUES, nullptr)};
    if (!map) return kernel_error("make a map for AF_XDP sockets", errno);
    if (bpf_obj_pin(map.get(), map_in(folder).c_str()) < 0) return kernel_error(map_in(folder), errno);
  }
  const ipvx_sockets_key key{.slave = number(slave)};
  const int inner = map.get();
  if (bpf_map_update_elem(direct_, &key, &inner, BPF_ANY) < 0) {
    if (errno == E2BIG) return fail(Errc::map_full, "ipvx_sockets is full");
    return kernel_error("ipvx_sockets: update", errno);
  }
  return {};
}

Result<void> Sockets::end_direct(SlaveId slave) const {
  const ipvx_sockets_key key{.slave = number(slave)};
  std::uint32_t map_id = 0;
  // A map of maps waits for all CPUs to let go of what is deleted, or is not there.
  if (bpf_map_lookup_elem(direct_, &key, &map_id) < 0) return {};
  if (bpf_map_delete_elem(direct_, &key) < 0 && errno != ENOENT) {
    return kernel_error("ipvx_sockets: delete", errno);
  }
  return {};
}

// The folder goes last: by it what is left half-way is found.
Result<void> Sockets::end(SlaveId slave) const {
  const std::string folder = pins_.slave(slave);
  if (::access(folder.c_str(), F_OK) < 0 && errno == ENOENT) return {};
  if (auto done = end_direct(slave); !done) return done;
  if (auto done = detach({.pin = link_in(folder)}); !done) return done;
  if (auto gone = remove(map_in(folder)); !gone) return gone;
  if (::rmdir(folder.c_str()) < 0 && errno != ENOENT) return kernel_error(folder, errno);
  return {};
}

Result<std::set<SlaveId>> Sockets::served() const {
  std::set<SlaveId> slaves;
  std::error_code error;
  for (const auto& folder : std::filesystem::directory_iterator{pins_.slaves(), error}) {
    const std::string name = folder.path().filename();
    if (const auto id = whole_number<std::uint32_t>(name)) slaves.insert(SlaveId{*id});
  }
  if (error) return kernel_error(pins_.slaves(), error.value());
  return slaves;
}

Result<UniqueFd> Sockets::map(SlaveId slave) const {
  const std::string path = map_in(pins_.slave(slave));
  UniqueFd map{bpf_obj_get(path.c_str())};
  if (!map) return kernel_error(path, errno);
  return map;
}

}  // namespace ipvlanx
