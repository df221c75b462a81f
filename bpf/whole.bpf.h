/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Is this frame all that the stack would make of it? By XDP a packet loses what
 * its sender left to the hardware (CHECKSUM_PARTIAL): the kernel drops the note
 * with the skb, and the receiver gets a checksum that is wrong.
 */
#ifndef IPVLANX_WHOLE_BPF_H
#define IPVLANX_WHOLE_BPF_H

#include <linux/tcp.h>
#include <linux/udp.h>

#include "packet.bpf.h"

#define IPV4_FRAGMENT 0x3fff /* RFC 791: MF and the offset */

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Of the pseudo header: addresses, length, protocol; what a sender writes where
 * the hardware shall add the rest.
 */
static __always_inline __u64 sum_of(const __u32 *words, int count)
{
	__u64 sum = 0;

	for (int i = 0; i < count; i++)
		sum += words[i];
	return sum;
}

/* The cursor stands behind the IP header. A whole checksum that equals the
 * pseudo header's (one in 65,536) takes the longer way for nothing.
 */
static __always_inline bool is_whole_segment(struct cursor c, __u8 protocol,
					     __u32 len, __u64 addresses)
{
	__u64 pseudo = addresses + bpf_htons(len) + bpf_htons(protocol);
	struct tcphdr *tcp;
	struct udphdr *udp;

	switch (protocol) {
	case IPPROTO_TCP:
		tcp = take(&c, sizeof(*tcp));
		return tcp && tcp->check != fold(pseudo);
	case IPPROTO_UDP:
		udp = take(&c, sizeof(*udp));
		return udp && (!udp->check || udp->check != fold(pseudo));
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return true;
	}
	return false;
}

static __always_inline bool is_whole_ipv4(struct cursor c)
{
	struct iphdr *ip = take(&c, sizeof(*ip));
	__u32 header;

	if (!ip)
		return false;
	/* What is fragmented was summed before. */
	if (ip->frag_off & bpf_htons(IPV4_FRAGMENT))
		return true;
	header = ip->ihl * 4;
	if (header > sizeof(*ip) && !take(&c, header - sizeof(*ip)))
		return false;
	return is_whole_segment(c, ip->protocol,
				bpf_ntohs(ip->tot_len) - header,
				sum_of(&ip->saddr, 2));
}

static __always_inline bool is_whole_ipv6(struct cursor c)
{
	struct ipv6hdr *ip = take(&c, sizeof(*ip));

	return ip &&
	       is_whole_segment(c, ip->nexthdr, bpf_ntohs(ip->payload_len),
				sum_of(ip->saddr.in6_u.u6_addr32, 8));
}

/* The cursor stands behind the Ethernet header. False where that cannot be
 * told, too: other transports, further headers.
 */
static __always_inline bool is_whole(__be16 protocol, struct cursor c)
{
	switch (protocol) {
	case bpf_htons(ETH_P_IP):
		return is_whole_ipv4(c);
	case bpf_htons(ETH_P_IPV6):
		return is_whole_ipv6(c);
	case bpf_htons(ETH_P_ARP):
		return true;
	}
	return false;
}

#endif
