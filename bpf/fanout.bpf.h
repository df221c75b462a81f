/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Broadcast and multicast: one copy for each slave of the port that is up. As
 * ipvlan_process_multicast(), but at once, in the order of arrival.
 */
#ifndef IPVLANX_FANOUT_BPF_H
#define IPVLANX_FANOUT_BPF_H

#include "count.bpf.h"

#define NO_SENDER 0 /* the frame came from the wire */

struct fanout {
	struct __sk_buff *skb;
	__u32 master;
	__u32 sender; /* slave id: gets no copy of its own frame */
	__u32 bytes;  /* a clone may change skb->len's register */
};

static long copy_to_member(__u32 slot, struct fanout *fanout)
{
	struct ipvx_member_key key = { .master = fanout->master, .slot = slot };
	struct ipvx_member *member;
	__u32 slave;

	member = bpf_map_lookup_elem(&ipvx_members, &key);
	if (!member || member->slave == fanout->sender)
		return 0;
	slave = member->slave;
	if (bpf_clone_redirect(fanout->skb, member->host_end, 0))
		count_rx_drop(slave, IPVX_DROP_CLONE_FAILED);
	else
		count_rx(slave, fanout->bytes, GROUP);
	return 0;
}

/* Afterwards pointers into the frame are gone. */
static __always_inline void copy_to_slaves(struct __sk_buff *skb, __u32 master,
					   __u32 slots, __u32 sender)
{
	struct fanout fanout = {
		.skb = skb,
		.master = master,
		.sender = sender,
		.bytes = skb->len,
	};

	bpf_loop(slots, copy_to_member, &fanout, 0);
}

#endif
