// SPDX-License-Identifier: Apache-2.0
#include "firewall.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/netfilter_ipv6/ip6_tables.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <fstream>
#include <memory>

#include "ipvlanx/base/unique_fd.h"

namespace ipvlanx {

namespace {

// ------------------------------------------------------------------- nftables

std::string_view family_name(std::uint8_t family) {
  switch (family) {
    case NFPROTO_IPV4:
      return "ip";
    case NFPROTO_IPV6:
      return "ip6";
    case NFPROTO_INET:
      return "inet";
  }
  return "";
}

struct Chain {
  const nlattr* table = nullptr;
  const nlattr* name = nullptr;
  const nlattr* hook = nullptr;
  const nlattr* policy = nullptr;
};

int keep_attribute(const nlattr* attribute, void* data) {
  auto& chain = *static_cast<Chain*>(data);
  switch (mnl_attr_get_type(attribute)) {
    case NFTA_CHAIN_TABLE:
      chain.table = attribute;
      break;
    case NFTA_CHAIN_NAME:
      chain.name = attribute;
      break;
    case NFTA_CHAIN_HOOK:
      chain.hook = attribute;
      break;
    case NFTA_CHAIN_POLICY:
      chain.policy = attribute;
      break;
  }
  return MNL_CB_OK;
}

int keep_hook_number(const nlattr* attribute, void* data) {
  if (mnl_attr_get_type(attribute) == NFTA_HOOK_HOOKNUM)
    *static_cast<std::uint32_t*>(data) = ntohl(mnl_attr_get_u32(attribute));
  return MNL_CB_OK;
}

bool is_at_forward(const nlattr* hook) {
  std::uint32_t number = NF_INET_NUMHOOKS;
  mnl_attr_parse_nested(hook, keep_hook_number, &number);
  return number == NF_INET_FORWARD;
}

int keep_if_dropping(const nlmsghdr* message, void* data) {
  Chain chain;
  mnl_attr_parse(message, sizeof(nfgenmsg), keep_attribute, &chain);
  if (!chain.table || !chain.name || !chain.hook || !chain.policy) return MNL_CB_OK;
  const auto* header = static_cast<const nfgenmsg*>(mnl_nlmsg_get_payload(message));
  const auto family = family_name(header->nfgen_family);
  if (family.empty() || !is_at_forward(chain.hook)) return MNL_CB_OK;
  if (ntohl(mnl_attr_get_u32(chain.policy)) != NF_DROP) return MNL_CB_OK;
  static_cast<std::vector<std::string>*>(data)->push_back(fmt::format(
      "nftables chain '{} {} {}'", family, mnl_attr_get_str(chain.table), mnl_attr_get_str(chain.name)));
  return MNL_CB_OK;
}

std::vector<std::string> dropping_nftables_chains() {
  std::vector<std::string> chains;
  const std::unique_ptr<mnl_socket, decltype(&mnl_socket_close)> socket{mnl_socket_open(NETLINK_NETFILTER),
                                                                        &mnl_socket_close};
  if (!socket || mnl_socket_bind(socket.get(), 0, MNL_SOCKET_AUTOPID) < 0) return {};

  std::vector<char> buffer(static_cast<std::size_t>(MNL_SOCKET_BUFFER_SIZE));
  nlmsghdr* request = mnl_nlmsg_put_header(buffer.data());
  request->nlmsg_type = NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETCHAIN;
  request->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  auto* header = static_cast<nfgenmsg*>(mnl_nlmsg_put_extra_header(request, sizeof(nfgenmsg)));
  *header = {.nfgen_family = NFPROTO_UNSPEC, .version = NFNETLINK_V0, .res_id = 0};
  if (mnl_socket_sendto(socket.get(), request, request->nlmsg_len) < 0) return {};

  int going = MNL_CB_OK;
  while (going == MNL_CB_OK) {
    const auto size = mnl_socket_recvfrom(socket.get(), buffer.data(), buffer.size());
    if (size < 0) break;
    going = mnl_cb_run(buffer.data(), static_cast<std::size_t>(size), 0, 0, keep_if_dropping, &chains);
  }
  return chains;
}

// ------------------------------------------------------------ legacy iptables

// Asking for a table makes one where there is none: first it is looked for.
bool has_table(const char* names_file, std::string_view table) {
  std::ifstream file{names_file};
  for (std::string name; std::getline(file, name);) {
    if (name == table) return true;
  }
  return false;
}

// The policy is the verdict of the chain's last rule, which holds nothing else.
template <class Info, class Entries, class Entry, class Target>
bool drops_forward(int family, int level, int get_info, int get_entries) {
  const UniqueFd socket{::socket(family, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW)};
  Info info{};
  std::strcpy(info.name, "filter");
  socklen_t size = sizeof info;
  if (!socket || ::getsockopt(socket.get(), level, get_info, &info, &size) < 0) return false;

  std::vector<char> room(sizeof(Entries) + info.size);
  auto* entries = reinterpret_cast<Entries*>(room.data());
  std::strcpy(entries->name, "filter");
  entries->size = info.size;
  size = static_cast<socklen_t>(room.size());
  if (::getsockopt(socket.get(), level, get_entries, entries, &size) < 0) return false;

  const std::size_t last = sizeof(Entries) + info.underflow[NF_INET_FORWARD];
  if (last + sizeof(Entry) > room.size()) return false;
  const auto* entry = reinterpret_cast<const Entry*>(room.data() + last);
  if (last + entry->target_offset + sizeof(Target) > room.size()) return false;
  const auto* target = reinterpret_cast<const Target*>(room.data() + last + entry->target_offset);
  return target->verdict == -NF_DROP - 1;
}

std::vector<std::string> dropping_iptables_chains() {
  std::vector<std::string> chains;
  if (has_table("/proc/net/ip_tables_names", "filter") &&
      drops_forward<ipt_getinfo, ipt_get_entries, ipt_entry, xt_standard_target>(
          AF_INET, SOL_IP, IPT_SO_GET_INFO, IPT_SO_GET_ENTRIES)) {
    chains.emplace_back("legacy iptables chain 'filter FORWARD'");
  }
  if (has_table("/proc/net/ip6_tables_names", "filter") &&
      drops_forward<ip6t_getinfo, ip6t_get_entries, ip6t_entry, xt_standard_target>(
          AF_INET6, SOL_IPV6, IP6T_SO_GET_INFO, IP6T_SO_GET_ENTRIES)) {
    chains.emplace_back("legacy ip6tables chain 'filter FORWARD'");
  }
  return chains;
}

}  // namespace

std::vector<std::string> dropping_forward_chains() {
  auto chains = dropping_nftables_chains();
  for (std::string& chain : dropping_iptables_chains()) chains.push_back(std::move(chain));
  return chains;
}

}  // namespace ipvlanx
