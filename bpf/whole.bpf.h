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

#define IPV4_FRAGMENT	0x3fff /* RFC 791: MF and the offset */
#define LONGEST_SEGMENT 2048   /* that is summed here */

/* A transport's header and payload. */
struct segment {
	void *start;
	__u32 len;
	__sum16 *check; /* NULL: not one whose sum is known to be left open */
	__u16 pseudo; /* what a sender writes there, who leaves the rest open */
};

static __always_inline __u16 fold(__u64 sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static __always_inline __u64 sum_of(const __u32 *words, int count)
{
	__u64 sum = 0;

	for (int i = 0; i < count; i++)
		sum += words[i];
	return sum;
}

/* The cursor stands behind the IP header. False: what of it is open cannot be
 * told.
 */
static __always_inline bool read_segment(struct cursor c, __u8 protocol,
					 __u32 len, __u64 addresses,
					 struct segment *s)
{
	struct tcphdr *tcp;
	struct udphdr *udp;

	s->start = c.next;
	s->len = len;
	s->check = NULL;
	s->pseudo = fold(addresses + bpf_htons(len) + bpf_htons(protocol));
	switch (protocol) {
	case IPPROTO_TCP:
		tcp = take(&c, sizeof(*tcp));
		if (tcp)
			s->check = &tcp->check;
		return tcp;
	case IPPROTO_UDP:
		udp = take(&c, sizeof(*udp));
		if (udp && udp->check)
			s->check = &udp->check;
		return udp;
	case IPPROTO_ICMP:
	case IPPROTO_ICMPV6:
		return true;
	}
	return false;
}

static __always_inline bool read_ipv4_segment(struct cursor c,
					      struct segment *s)
{
	struct iphdr *ip = take(&c, sizeof(*ip));
	__u32 header;

	if (!ip)
		return false;
	/* What is fragmented was summed before. */
	if (ip->frag_off & bpf_htons(IPV4_FRAGMENT)) {
		s->check = NULL;
		return true;
	}
	header = ip->ihl * 4;
	if (header > sizeof(*ip) && !take(&c, header - sizeof(*ip)))
		return false;
	return read_segment(c, ip->protocol, bpf_ntohs(ip->tot_len) - header,
			    sum_of(&ip->saddr, 2), s);
}

static __always_inline bool read_ipv6_segment(struct cursor c,
					      struct segment *s)
{
	struct ipv6hdr *ip = take(&c, sizeof(*ip));

	return ip && read_segment(c, ip->nexthdr, bpf_ntohs(ip->payload_len),
				  sum_of(ip->saddr.in6_u.u6_addr32, 8), s);
}

/* The cursor stands behind the Ethernet header. */
static __always_inline bool read_transport(__be16 protocol, struct cursor c,
					   struct segment *s)
{
	switch (protocol) {
	case bpf_htons(ETH_P_IP):
		return read_ipv4_segment(c, s);
	case bpf_htons(ETH_P_IPV6):
		return read_ipv6_segment(c, s);
	case bpf_htons(ETH_P_ARP):
		s->check = NULL;
		return true;
	}
	return false;
}

/* A whole sum that equals the pseudo header's (one in 65,536) looks open. */
static __always_inline bool is_open(const struct segment *s)
{
	return s->check && *s->check == s->pseudo;
}

/* False where it cannot be told, too: other transports, further headers. */
static __always_inline bool is_whole(__be16 protocol, struct cursor c)
{
	struct segment s;

	return read_transport(protocol, c, &s) && !is_open(&s);
}

/* What is open gets its sum. False: it is too long for that, or lies elsewhere.
 */
static __always_inline bool complete(__be16 protocol, struct cursor c)
{
	struct segment s;
	__u64 sum = 0;
	__u16 *word;
	__u8 *odd;

	if (!read_transport(protocol, c, &s) || !is_open(&s))
		return true;
	if (s.len > LONGEST_SEGMENT)
		return false;
	word = s.start;
	for (__u32 i = 0; i < LONGEST_SEGMENT / 2; i++) {
		if (i * 2 + 2 > s.len)
			break;
		if ((void *)(word + 1) > c.end)
			return false;
		sum += *word++;
	}
	if (s.len & 1) {
		odd = (__u8 *)word;
		if ((void *)(odd + 1) > c.end)
			return false;
		sum += *odd;
	}
	/* The pseudo header's part was in it. */
	*s.check = ~fold(sum);
	if (!*s.check)
		*s.check = 0xffff; /* of UDP: 0 would say that there is none */
	return true;
}

#endif
