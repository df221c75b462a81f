/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Broadcast and multicast: one copy for each slave of the port that is up. As
 * ipvlan_process_multicast().
 *
 * All copies made on a CPU wait in that CPU's backlog (net.core.
 * netdev_max_backlog, 1000 packets, not ours to enlarge). So copies are made in
 * batches, and between two batches a frame goes through a veth pair of ours,
 * the relay, and thereby to the end of the same backlog:
 *
 *   hook: slots 0 - 7 --> entrance ==> ipvx_relay_rx: slots 8 - 15 --,
 *                            ^                                       |
 *                            '---------------------------------------'
 *
 * Frames overtake each other nowhere on the way, so each slave gets them in the
 * order of arrival. How many may be on the way is bounded; the rest is dropped
 * and counted.
 */
#ifndef IPVLANX_FANOUT_BPF_H
#define IPVLANX_FANOUT_BPF_H

#include "count.bpf.h"
#include "lookup.bpf.h"

#define NO_SENDER 0 /* the frame came from the wire */

/* A fan-out's share of a CPU's backlog stays below its 1000 packets:
 * IPVX_FANOUTS * (COPIES_PER_BATCH + 1) = 576.
 */
#define COPIES_PER_BATCH 8
/* A frame that is lost on its way (a backlog was flushed with an interface)
 * cannot say so: after this long without a step its entry is free again.
 */
#define LONGEST_STEP_NS (1000 * 1000 * 1000ull)

/* A frame bears its entry's place as mark, which a veth pair within one
 * namespace leaves alone: generation, CPU, 1 + index. 0 is no place.
 */
#define MARK_INDEX_BITS 8
#define MARK_CPU_BITS	16

static __always_inline __u32 mark_of(__u32 cpu, __u32 index, __u32 generation)
{
	return generation << (MARK_CPU_BITS + MARK_INDEX_BITS) |
	       cpu << MARK_INDEX_BITS | (index + 1);
}

/* One batch of copies. */
struct batch {
	struct __sk_buff *skb;
	__u32 master;
	__u32 sender;
	__u32 slot; /* of the first */
	__u32 bytes;
};

static long copy_to_member(__u32 i, struct batch *batch)
{
	struct ipvx_member_key key = {
		.master = batch->master,
		.slot = batch->slot + i,
	};
	struct ipvx_member *member;
	__u32 slave;

	member = bpf_map_lookup_elem(&ipvx_members, &key);
	if (!member || member->slave == batch->sender)
		return 0;
	if (tracing) {
		trace_copy(batch->skb);
		return 0;
	}
	slave = member->slave;
	if (bpf_clone_redirect(batch->skb, member->host_end, 0))
		count_rx_drop(slave, IPVX_DROP_CLONE_FAILED);
	else
		count_rx(slave, batch->bytes, GROUP);
	return 0;
}

static __always_inline void copy_batch(struct __sk_buff *skb, __u32 master,
				       __u32 sender, __u32 slot, __u32 slots)
{
	__u32 left = slots > slot ? slots - slot : 0;
	struct batch batch = {
		.skb = skb,
		.master = master,
		.sender = sender,
		.slot = slot,
		.bytes = skb->len,
	};

	bpf_loop(left < COPIES_PER_BATCH || tracing ? left : COPIES_PER_BATCH,
		 copy_to_member, &batch, 0);
}

static __always_inline struct ipvx_fanouts *fanouts_of(__u32 cpu)
{
	const __u32 only = 0;

	return bpf_map_lookup_percpu_elem(&ipvx_fanouts, &only, cpu);
}

/* A copy of the frame goes on its way to the next batch, or its way ends. */
static __always_inline void go_on(struct __sk_buff *skb,
				  struct ipvx_fanout *fanout, __u32 place)
{
	const __u32 only = 0;
	struct ipvx_relay *relay = bpf_map_lookup_elem(&ipvx_relay, &only);
	__u32 mark = skb->mark;
	long lost = -1;

	fanout->slot += COPIES_PER_BATCH;
	fanout->last_step = bpf_ktime_get_ns();
	skb->mark = place;
	if (relay)
		lost = bpf_clone_redirect(skb, relay->entrance, 0);
	skb->mark = mark;
	if (!lost)
		return;
	fanout->last_step = 0;
	count_reason(fanout->sender, IPVX_DROP_FANOUT_LOST);
}

/* The place of a free entry in *fanouts, or 0. */
static __always_inline __u32 free_place(struct ipvx_fanouts *fanouts, __u32 cpu)
{
	__u64 now = bpf_ktime_get_ns();
	struct ipvx_fanout *fanout;
	__u32 index;
	int i;

	for (i = 0; i < IPVX_FANOUTS; i++) {
		index = (fanouts->next + i) % IPVX_FANOUTS;
		fanout = &fanouts->on_the_way[index];
		if (fanout->last_step &&
		    now - fanout->last_step < LONGEST_STEP_NS)
			continue;
		fanouts->next = index + 1;
		fanout->generation++;
		return mark_of(cpu, index, fanout->generation);
	}
	return 0;
}

static __always_inline struct ipvx_fanout *at(struct ipvx_fanouts *fanouts,
					      __u32 place)
{
	__u32 index = (place - 1) % IPVX_FANOUTS;

	return &fanouts->on_the_way[index];
}

/* Afterwards pointers into the frame are gone. */
static __always_inline void copy_to_slaves(struct __sk_buff *skb, __u32 master,
					   __u32 slots, __u32 sender)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct ipvx_fanouts *fanouts;
	struct ipvx_fanout *fanout;
	__u32 place;

	if (slots <= COPIES_PER_BATCH || tracing) {
		copy_batch(skb, master, sender, 0, slots);
		return;
	}
	fanouts = fanouts_of(cpu);
	place = fanouts ? free_place(fanouts, cpu) : 0;
	if (!place) {
		count_reason(sender, IPVX_DROP_FANOUT_FULL);
		return;
	}
	fanout = at(fanouts, place);
	fanout->master = master;
	fanout->sender = sender;
	fanout->slot = 0;
	copy_batch(skb, master, sender, 0, slots);
	go_on(skb, fanout, place);
}

/* The entry of a frame that comes out of the relay; NULL: not one of ours, or
 * one so late that its entry was given away.
 */
static __always_inline struct ipvx_fanout *fanout_of(__u32 place)
{
	__u32 cpu = place >> MARK_INDEX_BITS & ((1 << MARK_CPU_BITS) - 1);
	struct ipvx_fanouts *fanouts = place ? fanouts_of(cpu) : NULL;
	struct ipvx_fanout *fanout;

	if (!fanouts)
		return NULL;
	fanout = at(fanouts, place);
	if (!fanout->last_step ||
	    (__u8)fanout->generation !=
		    place >> (MARK_CPU_BITS + MARK_INDEX_BITS))
		return NULL;
	return fanout;
}

/* A frame on its way comes by. */
static __always_inline void copy_to_further_slaves(struct __sk_buff *skb)
{
	__u32 place = skb->mark;
	struct ipvx_fanout *fanout = fanout_of(place);
	struct ipvx_port *port;
	__u32 slots;

	if (!fanout)
		return;
	port = port_of(fanout->master);
	slots = port ? port->slots : 0;
	skb->mark = 0;
	copy_batch(skb, fanout->master, fanout->sender, fanout->slot, slots);
	if (fanout->slot + COPIES_PER_BATCH < slots)
		go_on(skb, fanout, place);
	else
		fanout->last_step = 0;
}

#endif
