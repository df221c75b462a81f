// SPDX-License-Identifier: Apache-2.0
#include "pinned.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>
#include <system_error>

#include "machine.h"

namespace ipvlanx::test {

namespace {

constexpr auto kTcxIngress = static_cast<bpf_attach_type>(46);

// struct bpf_link_info of 6.6; Debian 12's header is 6.1's.
struct LinkInfo {
  std::uint32_t type, id, program, pad, ifindex, attach_type;
};

}  // namespace

std::uint32_t id_of_program(int fd) {
  bpf_prog_info info{};
  std::uint32_t size = sizeof info;
  return bpf_obj_get_info_by_fd(fd, &info, &size) == 0 ? info.id : 0;
}

AttachedLink pinned_link(const std::string& path) {
  const UniqueFd link{bpf_obj_get(path.c_str())};
  LinkInfo info{};
  std::uint32_t size = sizeof info;
  if (!link || bpf_obj_get_info_by_fd(link.get(), &info, &size) < 0) return {};
  return {info.id, info.program, info.ifindex};
}

PinnedIds pinned_under(const std::string& root) {
  PinnedIds ids;
  for (const auto& entry : std::filesystem::recursive_directory_iterator{root}) {
    if (entry.is_directory()) continue;
    const std::string path = entry.path();
    const UniqueFd object{bpf_obj_get(path.c_str())};
    const std::string name = path.substr(root.size() + 1);
    if (name.starts_with("maps/")) {
      bpf_map_info info{};
      std::uint32_t size = sizeof info;
      bpf_obj_get_info_by_fd(object.get(), &info, &size);
      ids[name] = info.id;
    } else {
      ids[name] = name.starts_with("links/") ? pinned_link(path).id : id_of_program(object.get());
    }
  }
  return ids;
}

std::vector<std::uint32_t> programs_at(const std::string& interface) {
  std::vector<std::uint32_t> ids;
  // BPF_PROG_QUERY as of 6.6.
  struct {
    std::uint32_t ifindex, attach_type, query_flags, attach_flags;
    std::uint64_t prog_ids;
    std::uint32_t count, pad;
    std::uint64_t prog_attach_flags, link_ids, link_attach_flags, revision;
  } query{};
  std::uint32_t found[16] = {};
  query.ifindex = number(index_of(Space::host, interface));
  query.attach_type = kTcxIngress;
  query.prog_ids = reinterpret_cast<std::uint64_t>(found);
  query.count = std::size(found);
  if (::syscall(SYS_bpf, BPF_PROG_QUERY, &query, sizeof query) == 0) ids.assign(found, found + query.count);

  const auto filters =
      nlohmann::json::parse(output_of("tc -j filter show dev " + interface + " ingress"), nullptr, false);
  for (const auto& filter : filters) {
    if (!filter.contains("options")) continue;
    const auto& options = filter["options"];
    if (options.contains("prog")) ids.push_back(options["prog"]["id"].get<std::uint32_t>());
  }
  return ids;
}

UniqueFd load_foreign_program(int verdict) {
  const bpf_insn program[] = {
      {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = verdict},
      {.code = BPF_JMP | BPF_EXIT, .dst_reg = 0, .src_reg = 0, .off = 0, .imm = 0}};
  UniqueFd fd{bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "foreign", "GPL", program, std::size(program), nullptr)};
  if (!fd) throw std::system_error(errno, std::generic_category(), "load foreign program");
  return fd;
}

bool has_tcx() {
  // No interface has this index: only a kernel that knows TCX looks for it.
  constexpr int kNoInterface = 0x7fffffff;
  const UniqueFd program = load_foreign_program(0);
  const UniqueFd none{bpf_link_create(program.get(), kNoInterface, kTcxIngress, nullptr)};
  return errno != EINVAL;
}

UniqueFd attach_tcx(IfIndex interface, int program) {
  UniqueFd link{bpf_link_create(program, static_cast<int>(number(interface)), kTcxIngress, nullptr)};
  if (!link) throw std::system_error(errno, std::generic_category(), "attach foreign TCX program");
  return link;
}

void attach_clsact(IfIndex interface, int program, unsigned priority) {
  bpf_tc_hook hook{};
  hook.sz = sizeof hook;
  hook.ifindex = static_cast<int>(number(interface));
  hook.attach_point = BPF_TC_INGRESS;
  if (const int error = bpf_tc_hook_create(&hook); error < 0 && error != -EEXIST)
    throw std::system_error(-error, std::generic_category(), "clsact");
  bpf_tc_opts filter{};
  filter.sz = sizeof filter;
  filter.prog_fd = program;
  filter.priority = priority;
  filter.handle = 1;
  if (const int error = bpf_tc_attach(&hook, &filter); error < 0)
    throw std::system_error(-error, std::generic_category(), "attach foreign filter");
}

}  // namespace ipvlanx::test
