// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* XDP of a master: frames for a slave's AF_XDP sockets leave for its host end,
 * or if they are direct, for the sockets themselves, before the stack has made
 * anything of them. All else goes on to TC, where ipvx_master_rx knows every
 * rule: these programs may pass what they do not understand, and have none of
 * their own.
 */
#include "count.bpf.h"
#include "packet.bpf.h"
#include "whole.bpf.h"

#define ENODATA 61

char LICENSE[] SEC("license") = "Dual BSD/GPL";

extern int bpf_xdp_metadata_rx_vlan_tag(const struct xdp_md *ctx,
					__be16 *protocol,
					__u16 *tag) __ksym __weak;

/* A VLAN tag may lie beside the frame: the NIC took it out, or on a veth the
 * sender never put it in. Only a program that is bound to that one device is
 * told.
 */
enum tag {
	NO_TAG,
	TAG,
	UNTOLD,
};

static __always_inline enum tag ask_for_tag(struct xdp_md *ctx)
{
	__be16 protocol;
	__u16 tag;

	switch (bpf_xdp_metadata_rx_vlan_tag(ctx, &protocol, &tag)) {
	case 0:
		return TAG;
	case -ENODATA:
		return NO_TAG;
	}
	return UNTOLD;
}

struct found {
	struct cursor c; /* behind the Ethernet header */
	__be16 protocol;
	struct ipvx_addr *addr; /* NULL: it is not for XDP */
};

/* In l3s frames take the host's stack first. */
static __always_inline struct found find_owner(struct xdp_md *ctx)
{
	struct found f = {
		.c.next = (void *)(long)ctx->data,
		.c.end = (void *)(long)ctx->data_end,
	};
	struct extent e = { .len = bpf_xdp_get_buff_len(ctx) };
	struct ipvx_addr_key key = { .master = ctx->ingress_ifindex };
	struct ethhdr *eth = take(&f.c, sizeof(*eth));
	struct ipvx_addr *addr;

	if (!eth || !read_address(eth->h_proto, e, f.c, DESTINATION, &key))
		return f;
	f.protocol = eth->h_proto;
	addr = bpf_map_lookup_elem(&ipvx_addrs, &key);
	if (addr && addr->mode != IPVX_L3S &&
	    is_same_mac(eth->h_dest, addr->mac))
		f.addr = addr;
	return f;
}

static __always_inline int by_host_end(struct xdp_md *ctx, struct found f,
				       enum tag tag)
{
	if (tag != NO_TAG || !is_whole(f.protocol, f.c))
		return XDP_PASS;
	count_rx(f.addr->slave, bpf_xdp_get_buff_len(ctx), UNICAST);
	return bpf_redirect(f.addr->host_end, 0);
}

/* Where no socket is bound to this queue: to the container's stack. */
static __always_inline int to_direct_socket(struct xdp_md *ctx, struct found f,
					    enum tag tag)
{
	struct ipvx_sockets_key key = { .slave = f.addr->slave };
	void *sockets;
	int verdict;

	sockets = bpf_map_lookup_elem(&ipvx_sockets, &key);
	if (!sockets || tag == TAG || !complete(f.protocol, f.c))
		return XDP_PASS;
	verdict = bpf_redirect_map(sockets, ctx->rx_queue_index, XDP_PASS);
	if (verdict == XDP_REDIRECT)
		count_rx(key.slave, bpf_xdp_get_buff_len(ctx), UNICAST);
	return verdict;
}

static __always_inline int deliver(struct xdp_md *ctx, struct found f,
				   enum tag tag)
{
	if (f.addr->way == IPVX_TO_SOCKETS)
		return by_host_end(ctx, f, tag);
	if (f.addr->way == IPVX_DIRECT)
		return to_direct_socket(ctx, f, tag);
	return XDP_PASS;
}

/* In the driver of a master that leaves tags in the frames. */
SEC("xdp.frags")
int ipvx_master_xdp(struct xdp_md *ctx)
{
	struct found f = find_owner(ctx);

	return f.addr ? deliver(ctx, f, NO_TAG) : XDP_PASS;
}

/* In the driver of one that does not: bound to it. */
SEC("xdp.frags")
int ipvx_bound_xdp(struct xdp_md *ctx)
{
	struct found f = find_owner(ctx);

	return f.addr ? deliver(ctx, f, ask_for_tag(ctx)) : XDP_PASS;
}

/* Where the driver has no XDP: for direct sockets alone, TC is as fast for
 * others. Not for frames in fragments: TC behind it would see them from their
 * third layer.
 */
SEC("xdp")
int ipvx_skb_xdp(struct xdp_md *ctx)
{
	struct found f = find_owner(ctx);

	return f.addr ? deliver(ctx, f, UNTOLD) : XDP_PASS;
}
