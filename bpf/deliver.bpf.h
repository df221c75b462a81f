/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The ways a packet leaves a hook. Each verb counts and returns the verdict, so
 * that `return to_slave(...)` ends the story.
 */
#ifndef IPVLANX_DELIVER_BPF_H
#define IPVLANX_DELIVER_BPF_H

#include <linux/if_packet.h>

#include "count.bpf.h"
#include "life.bpf.h"
#include "packet.bpf.h"

/* TCX_NEXT, and for clsact TC_ACT_UNSPEC: whoever else is attached goes on. */
#define VERDICT_NEXT (-1)

/* What ipvx_slave_rx is told of a packet, in skb->tc_index: a field that the
 * stack carries along and otherwise leaves alone.
 */
enum note {
	NO_NOTE = 0,
	STEERED = 0x6970, /* by us, to this slave: counted already */
	LIFE_ADDED,	  /* what forwarding takes was added before */
};

static __always_inline int to_slave(struct __sk_buff *skb,
				    struct ipvx_addr *addr)
{
	count_rx(addr->slave, skb->len, UNICAST);
	if (addr->way == IPVX_BY_PEER)
		return decided(IPVX_FATE_SLAVE, addr->slave,
			       bpf_redirect_peer(addr->host_end, 0));
	skb->tc_index = STEERED;
	return decided(IPVX_FATE_SLAVE, addr->slave,
		       bpf_redirect(addr->host_end, 0));
}

/* From a slave to another one of its port. */
static __always_inline int to_sibling(struct __sk_buff *skb,
				      const struct ipvx_slave *slave,
				      struct ipvx_addr *addr)
{
	count_tx(slave->slave, skb->len, UNICAST);
	return to_slave(skb, addr);
}

/* On the master: the host's stack gets what the wire brought. */
static __always_inline int keep_for_host(struct __sk_buff *skb)
{
	count_passed(skb->ifindex, skb->len);
	return decided(IPVX_FATE_HOST, 0, VERDICT_NEXT);
}

/* In l3 and l3s, from a slave: the host routes it, and its netfilter sees it.
 */
static __always_inline int through_stack(struct __sk_buff *skb, struct cursor c,
					 const struct ipvx_slave *slave)
{
	count_tx(slave->slave, skb->len, UNICAST);
	/* Not twice: a route of the host's by a slave of its own namespace
	 * leads back here, and would do so for ever.
	 */
	if (skb->tc_index != LIFE_ADDED)
		add_life(skb, c);
	skb->tc_index = LIFE_ADDED;
	/* A slave that was in l2 a moment ago may still ask for others' MAC
	 * addresses.
	 */
	if (skb->pkt_type != PACKET_HOST)
		bpf_skb_change_type(skb, PACKET_HOST);
	return decided(IPVX_FATE_ROUTED, 0, VERDICT_NEXT);
}

/* In l3s, from the wire: the same, towards a slave; ipvx_slave_rx has the rest.
 * A packet that forwarding would end is given what forwarding will take.
 */
static __always_inline int through_stack_to_slave(struct __sk_buff *skb,
						  struct cursor c, __u32 slave)
{
	skb->tc_index = NO_NOTE;
	/* In a broadcast frame, too: the stack would not forward it. */
	if (is_ip(skb) && (skb->pkt_type == PACKET_BROADCAST ||
			   skb->pkt_type == PACKET_MULTICAST))
		bpf_skb_change_type(skb, PACKET_HOST);
	if (life_of(skb, c) == 1) {
		add_life(skb, c);
		skb->tc_index = LIFE_ADDED;
	}
	return decided(IPVX_FATE_ROUTED, slave, VERDICT_NEXT);
}

/* From a slave: the host's stack gets it as if the wire had brought it. */
static __always_inline int to_host(struct __sk_buff *skb,
				   const struct ipvx_slave *slave)
{
	count_tx(slave->slave, skb->len, UNICAST);
	return decided(IPVX_FATE_HOST, 0,
		       bpf_redirect(slave->master, BPF_F_INGRESS));
}

static __always_inline int
to_wire(struct __sk_buff *skb, const struct ipvx_slave *slave, enum cast cast)
{
	count_tx(slave->slave, skb->len, cast);
	return decided(IPVX_FATE_WIRE, 0, bpf_redirect(slave->master, 0));
}

/* On its way from the host's stack into the slave. */
static __always_inline int hand_over(struct __sk_buff *skb,
				     const struct ipvx_slave *slave)
{
	count_rx(slave->slave, skb->len, UNICAST);
	skb->tc_index = NO_NOTE;
	return VERDICT_NEXT;
}

static __always_inline int drop_rx(__u32 slave, enum ipvx_drop reason)
{
	count_rx_drop(slave, reason);
	return decided(IPVX_FATE_DROPPED, reason, TC_ACT_SHOT);
}

static __always_inline int drop_tx(__u32 slave, enum ipvx_drop reason)
{
	count_tx_drop(slave, reason);
	return decided(IPVX_FATE_DROPPED, reason, TC_ACT_SHOT);
}

#endif
