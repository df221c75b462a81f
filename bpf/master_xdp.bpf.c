// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* XDP of a master: frames for a slave's AF_XDP sockets leave for its host end
 * before the stack has made anything of them. All else goes on to TC, where
 * ipvx_master_rx knows every rule: this program may pass what it does not
 * understand, and has none of its own.
 *
 * Where a VLAN tag lies beside the frame (the NIC took it out, or on a veth the
 * sender never put it in) only a program that is bound to that one device is
 * told of it; elsewhere a bound program is not wanted by every driver.
 */
#include "count.bpf.h"
#include "packet.bpf.h"
#include "whole.bpf.h"

#define ENODATA 61

char LICENSE[] SEC("license") = "Dual BSD/GPL";

extern int bpf_xdp_metadata_rx_vlan_tag(const struct xdp_md *ctx,
					__be16 *protocol,
					__u16 *tag) __ksym __weak;

/* False, too, where a driver cannot say. */
static __always_inline bool is_untagged(struct xdp_md *ctx)
{
	__be16 protocol;
	__u16 tag;

	return bpf_xdp_metadata_rx_vlan_tag(ctx, &protocol, &tag) == -ENODATA;
}

static __always_inline struct ipvx_addr *owner_by_sockets(struct xdp_md *ctx)
{
	struct cursor c = {
		.next = (void *)(long)ctx->data,
		.end = (void *)(long)ctx->data_end,
	};
	struct extent e = { .len = bpf_xdp_get_buff_len(ctx) };
	struct ipvx_addr_key key = { .master = ctx->ingress_ifindex };
	struct ethhdr *eth = take(&c, sizeof(*eth));
	struct ipvx_addr *addr;

	if (!eth || !read_address(eth->h_proto, e, c, DESTINATION, &key))
		return NULL;
	addr = bpf_map_lookup_elem(&ipvx_addrs, &key);
	if (!addr || addr->way != IPVX_TO_SOCKETS || addr->mode == IPVX_L3S)
		return NULL;
	if (!is_same_mac(eth->h_dest, addr->mac) || !is_whole(eth->h_proto, c))
		return NULL;
	return addr;
}

static __always_inline int to_sockets(struct xdp_md *ctx,
				      struct ipvx_addr *addr)
{
	count_rx(addr->slave, bpf_xdp_get_buff_len(ctx), UNICAST);
	return bpf_redirect(addr->host_end, 0);
}

/* Of a master that leaves tags in the frames. */
SEC("xdp.frags")
int ipvx_master_xdp(struct xdp_md *ctx)
{
	struct ipvx_addr *addr = owner_by_sockets(ctx);

	return addr ? to_sockets(ctx, addr) : XDP_PASS;
}

/* Of one that does not: bound to it. */
SEC("xdp.frags")
int ipvx_bound_xdp(struct xdp_md *ctx)
{
	struct ipvx_addr *addr = owner_by_sockets(ctx);

	return addr && is_untagged(ctx) ? to_sockets(ctx, addr) : XDP_PASS;
}
