/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Which address does this frame go to, or come from? As ipvlan_get_L3_hdr()
 * and ipvlan_addr_lookup() read it: IPv4 and IPv6 by their header, ARP by its
 * target or sender, a neighbour solicitation for duplicate address detection
 * by its target; never by ports, so that all fragments go the same way.
 */
#ifndef IPVLANX_PACKET_BPF_H
#define IPVLANX_PACKET_BPF_H

#include <linux/bpf.h>
#include <linux/icmpv6.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/pkt_cls.h>
#include <stdbool.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "ipvlanx/datapath_abi.h"

#define ND_NEIGHBOUR_SOLICITATION 135 /* RFC 4861, 4.3 */

/* RFC 826 on Ethernet, for IPv4. Any operation, as in the kernel. */
struct arp_ipv4 {
	__be16 hardware;
	__be16 protocol;
	__u8 hardware_len;
	__u8 protocol_len;
	__be16 operation;
	__u8 sender_mac[ETH_ALEN];
	__u8 sender_ip[4];
	__u8 target_mac[ETH_ALEN];
	__u8 target_ip[4];
} __attribute__((packed));

struct nd_solicitation {
	struct icmp6hdr header;
	__u8 target[16];
};

/* As much as read_address() may want to see of a frame. */
#define HEADERS_LEN                                                            \
	(sizeof(struct ethhdr) + sizeof(struct ipv6hdr) +                      \
	 sizeof(struct nd_solicitation))

enum side {
	SOURCE,
	DESTINATION,
};

/* What of a frame lies in front of us, in the linear part of the skb. */
struct cursor {
	void *next;
	void *end;
};

static __always_inline void *take(struct cursor *c, __u32 size)
{
	void *taken = c->next;

	if (taken + size > c->end)
		return NULL;
	c->next = taken + size;
	return taken;
}

/* The frame from its Ethernet header on. A driver may leave headers in the
 * skb's fragments: they are pulled into the linear part first.
 */
static __always_inline struct cursor open_frame(struct __sk_buff *skb)
{
	struct cursor c = {
		.next = (void *)(long)skb->data,
		.end = (void *)(long)skb->data_end,
	};

	if (c.next + HEADERS_LEN <= c.end || c.end - c.next >= skb->len)
		return c;
	bpf_skb_pull_data(skb, skb->len < HEADERS_LEN ? skb->len : HEADERS_LEN);
	c.next = (void *)(long)skb->data;
	c.end = (void *)(long)skb->data_end;
	return c;
}

static __always_inline bool is_group_address(const __u8 *mac)
{
	return mac[0] & 1;
}

static __always_inline bool is_same_mac(const __u8 *a, const __u8 *b)
{
	return *(__u16 *)a == *(__u16 *)b &&
	       *(__u16 *)(a + 2) == *(__u16 *)(b + 2) &&
	       *(__u16 *)(a + 4) == *(__u16 *)(b + 4);
}

static __always_inline void set_ipv4(struct ipvx_addr_key *key,
				     const void *addr)
{
	key->family = IPVX_IPV4;
	__builtin_memcpy(key->addr, addr, 4);
}

static __always_inline void set_ipv6(struct ipvx_addr_key *key,
				     const void *addr)
{
	key->family = IPVX_IPV6;
	__builtin_memcpy(key->addr, addr, 16);
}

static __always_inline bool read_arp(struct cursor c, enum side side,
				     struct ipvx_addr_key *key)
{
	struct arp_ipv4 *arp = take(&c, sizeof(*arp));

	if (!arp)
		return false;
	set_ipv4(key, side == SOURCE ? arp->sender_ip : arp->target_ip);
	return true;
}

/* How long a frame is, with what does not lie in front of us. */
struct extent {
	__u32 len;
	__u32 gso_size; /* 0: it is one packet */
};

/* A header that contradicts itself or the frame's length is nobody's. */
static __always_inline bool read_ipv4(struct extent e, struct cursor c,
				      enum side side, struct ipvx_addr_key *key)
{
	__u32 in_frame = e.len - sizeof(struct ethhdr);
	struct iphdr *ip = take(&c, sizeof(*ip));
	__u32 len;

	if (!ip)
		return false;
	len = bpf_ntohs(ip->tot_len);
	if (!len && e.gso_size) /* longer than 64 KiB: BIG TCP */
		len = in_frame;
	if (ip->ihl < 5 || ip->version != 4 || in_frame < len ||
	    len < ip->ihl * 4)
		return false;
	set_ipv4(key, side == SOURCE ? &ip->saddr : &ip->daddr);
	return true;
}

static __always_inline bool is_unspecified(const struct in6_addr *addr)
{
	const __u32 *words = addr->in6_u.u6_addr32;

	return !(words[0] | words[1] | words[2] | words[3]);
}

/* From :: the kernel wants to see the whole ICMPv6 header: only a solicitation
 * (duplicate address detection) has an address, that of its target.
 */
static __always_inline bool read_ipv6(struct cursor c, enum side side,
				      struct ipvx_addr_key *key)
{
	struct ipv6hdr *ip = take(&c, sizeof(*ip));
	struct nd_solicitation *nd;
	struct icmp6hdr *icmp;

	if (!ip || ip->version != 6)
		return false;
	if (!is_unspecified(&ip->saddr) || ip->nexthdr != IPPROTO_ICMPV6) {
		set_ipv6(key, side == SOURCE ? &ip->saddr : &ip->daddr);
		return true;
	}
	nd = c.next;
	icmp = take(&c, sizeof(*icmp));
	if (!icmp || icmp->icmp6_type != ND_NEIGHBOUR_SOLICITATION)
		return false;
	if (!take(&c, sizeof(nd->target)))
		return false;
	set_ipv6(key, nd->target);
	return true;
}

/* Untagged IPv4 or IPv6, whatever its header says. */
static __always_inline bool is_ip(struct __sk_buff *skb)
{
	return !skb->vlan_present && (skb->protocol == bpf_htons(ETH_P_IP) ||
				      skb->protocol == bpf_htons(ETH_P_IPV6));
}

/* A multicast group's, or the limited broadcast; whatever the MAC address,
 * which on a NOARP interface is the interface's own for a broadcast.
 */
static __always_inline bool is_to_group(struct __sk_buff *skb, struct cursor c)
{
	struct ipv6hdr *ip6;
	struct iphdr *ip4;

	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		ip4 = take(&c, sizeof(*ip4));
		return ip4 && *(__u8 *)&ip4->daddr >= 224;
	}
	ip6 = take(&c, sizeof(*ip6));
	return ip6 && ip6->daddr.in6_u.u6_addr8[0] == 0xff;
}

#define ICMP_UNREACHABLE   3 /* RFC 792 */
#define ICMP_TIME_EXCEEDED 11
#define ICMP_PARAMETER	   12
#define ICMPV6_FIRST_INFO  128 /* RFC 4443, 2.1: below are errors */

/* About another packet, in a packet without options. */
static __always_inline bool is_icmp_error(struct __sk_buff *skb,
					  struct cursor c)
{
	struct ipv6hdr *ip6;
	struct iphdr *ip4;
	__u8 *type;

	switch (skb->protocol) {
	case bpf_htons(ETH_P_IP):
		ip4 = take(&c, sizeof(*ip4));
		type = take(&c, sizeof(*type));
		return ip4 && type && ip4->protocol == IPPROTO_ICMP &&
		       (*type == ICMP_UNREACHABLE ||
			*type == ICMP_TIME_EXCEEDED || *type == ICMP_PARAMETER);
	case bpf_htons(ETH_P_IPV6):
		ip6 = take(&c, sizeof(*ip6));
		type = take(&c, sizeof(*type));
		return ip6 && type && ip6->nexthdr == IPPROTO_ICMPV6 &&
		       *type < ICMPV6_FIRST_INFO;
	}
	return false;
}

/* Fills in family and address; false where the frame has no such address. The
 * cursor stands behind the Ethernet header.
 */
static __always_inline bool read_address(__be16 protocol, struct extent e,
					 struct cursor c, enum side side,
					 struct ipvx_addr_key *key)
{
	switch (protocol) {
	case bpf_htons(ETH_P_IP):
		return read_ipv4(e, c, side, key);
	case bpf_htons(ETH_P_IPV6):
		return read_ipv6(c, side, key);
	case bpf_htons(ETH_P_ARP):
		return read_arp(c, side, key);
	}
	return false;
}

#endif
