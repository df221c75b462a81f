/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The ways a packet leaves a hook. Each verb counts and returns the verdict, so
 * that `return to_slave(...)` ends the story.
 */
#ifndef IPVLANX_DELIVER_BPF_H
#define IPVLANX_DELIVER_BPF_H

#include "count.bpf.h"
#include "packet.bpf.h"

/* TCX_NEXT, and for clsact TC_ACT_UNSPEC: whoever else is attached goes on. */
#define VERDICT_NEXT (-1)

static __always_inline int to_slave(struct __sk_buff *skb,
				    struct ipvx_addr *addr)
{
	count_rx(addr->slave, skb->len, UNICAST);
	if (addr->way == IPVX_BY_PEER)
		return bpf_redirect_peer(addr->host_end, 0);
	return bpf_redirect(addr->host_end, 0);
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
	return VERDICT_NEXT;
}

/* From a slave: the host's stack gets it as if the wire had brought it. */
static __always_inline int to_host(struct __sk_buff *skb,
				   const struct ipvx_slave *slave)
{
	count_tx(slave->slave, skb->len, UNICAST);
	return bpf_redirect(slave->master, BPF_F_INGRESS);
}

static __always_inline int
to_wire(struct __sk_buff *skb, const struct ipvx_slave *slave, enum cast cast)
{
	count_tx(slave->slave, skb->len, cast);
	return bpf_redirect(slave->master, 0);
}

static __always_inline int drop_tx(__u32 slave, enum ipvx_drop reason)
{
	count_tx_drop(slave, reason);
	return TC_ACT_SHOT;
}

#endif
