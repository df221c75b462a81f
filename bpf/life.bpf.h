/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* TTL and hop limit. Forwarding takes one, ipvlan does not: the host's stack
 * shall not show as a hop. DESIGN.md 3.5.
 */
#ifndef IPVLANX_LIFE_BPF_H
#define IPVLANX_LIFE_BPF_H

#include "packet.bpf.h"

#define LONGEST_LIFE 255

/* The cursor stands behind the Ethernet header. 0: it has none. */
static __always_inline __u8 life_of(struct __sk_buff *skb, struct cursor c)
{
	struct ipv6hdr *ip6;
	struct iphdr *ip4;

	if (skb->vlan_present)
		return 0;
	switch (skb->protocol) {
	case bpf_htons(ETH_P_IP):
		ip4 = take(&c, sizeof(*ip4));
		return ip4 ? ip4->ttl : 0;
	case bpf_htons(ETH_P_IPV6):
		ip6 = take(&c, sizeof(*ip6));
		return ip6 ? ip6->hop_limit : 0;
	}
	return 0;
}

static __always_inline void set_ttl(struct __sk_buff *skb, __u8 before,
				    __u8 ttl)
{
	const __u32 ip = sizeof(struct ethhdr);

	/* TTL and protocol are one 16 bit word of the checksum. */
	bpf_l3_csum_replace(skb, ip + offsetof(struct iphdr, check),
			    bpf_htons(before << 8), bpf_htons(ttl << 8), 2);
	bpf_skb_store_bytes(skb, ip + offsetof(struct iphdr, ttl), &ttl, 1, 0);
}

static __always_inline void set_hop_limit(struct __sk_buff *skb, __u8 limit)
{
	const __u32 ip = sizeof(struct ethhdr);

	bpf_skb_store_bytes(skb, ip + offsetof(struct ipv6hdr, hop_limit),
			    &limit, 1, BPF_F_RECOMPUTE_CSUM);
}

/* One more, where there is room. The frame's pointers are void afterwards. */
static __always_inline void add_life(struct __sk_buff *skb, struct cursor c)
{
	__u8 life = life_of(skb, c);

	if (!life || life == LONGEST_LIFE)
		return;
	if (skb->protocol == bpf_htons(ETH_P_IP))
		set_ttl(skb, life, life + 1);
	else
		set_hop_limit(skb, life + 1);
}

#endif
