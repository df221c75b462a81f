/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whose is it? */
#ifndef IPVLANX_LOOKUP_BPF_H
#define IPVLANX_LOOKUP_BPF_H

#include "maps.bpf.h"
#include "packet.bpf.h"

static __always_inline struct ipvx_port *port_of(__u32 master)
{
	struct ipvx_port_key key = { .master = master };

	return bpf_map_lookup_elem(&ipvx_ports, &key);
}

static __always_inline struct ipvx_slave *slave_behind(__u32 host_end)
{
	struct ipvx_slave_key key = { .host_end = host_end };

	return bpf_map_lookup_elem(&ipvx_slaves, &key);
}

/* The slave of this master that owns the frame's destination, or source. A
 * tagged frame has none (its tag lies beside the packet), VLAN 0 included:
 * slaves are untagged.
 */
static __always_inline struct ipvx_addr *
owner(struct __sk_buff *skb, struct cursor c, enum side side, __u32 master)
{
	struct extent e = { .len = skb->len, .gso_size = skb->gso_size };
	struct ipvx_addr_key key = { .master = master };

	if (skb->vlan_present || !read_address(skb->protocol, e, c, side, &key))
		return NULL;
	return bpf_map_lookup_elem(&ipvx_addrs, &key);
}

#endif
