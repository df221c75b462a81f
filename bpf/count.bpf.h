/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Every run of a hook ends in one of these: the packet reached a slave, left
 * one, was kept for the host, or was dropped for a reason.
 */
#ifndef IPVLANX_COUNT_BPF_H
#define IPVLANX_COUNT_BPF_H

#include "maps.bpf.h"
#include "trace.bpf.h"

static __always_inline struct ipvx_stats *stats_of(__u32 slave)
{
	struct ipvx_stats_key key = { .slave = slave };

	if (tracing)
		return NULL;
	return bpf_map_lookup_elem(&ipvx_stats, &key);
}

enum cast {
	UNICAST,
	GROUP, /* broadcast or multicast */
};

static __always_inline void count(struct ipvx_traffic *traffic, __u32 bytes,
				  enum cast cast)
{
	traffic->packets++;
	traffic->bytes += bytes;
	if (cast == GROUP)
		traffic->multicast++;
}

static __always_inline void count_rx(__u32 slave, __u32 bytes, enum cast cast)
{
	struct ipvx_stats *stats = stats_of(slave);

	if (stats)
		count(&stats->rx, bytes, cast);
}

static __always_inline void count_tx(__u32 slave, __u32 bytes, enum cast cast)
{
	struct ipvx_stats *stats = stats_of(slave);

	if (stats)
		count(&stats->tx, bytes, cast);
}

/* The reason's entry is made by its first drop. */
static __always_inline void count_reason(__u32 slave, enum ipvx_drop reason)
{
	struct ipvx_drop_key key = { .slave = slave, .reason = reason };
	struct ipvx_drop_count first = { .packets = 1 };
	struct ipvx_drop_count *drops;

	if (tracing)
		return;
	drops = bpf_map_lookup_elem(&ipvx_drops, &key);
	if (drops)
		drops->packets++;
	else
		bpf_map_update_elem(&ipvx_drops, &key, &first, BPF_ANY);
}

static __always_inline void count_rx_drop(__u32 slave, enum ipvx_drop reason)
{
	struct ipvx_stats *stats = stats_of(slave);

	if (stats)
		stats->rx.dropped++;
	count_reason(slave, reason);
}

static __always_inline void count_tx_drop(__u32 slave, enum ipvx_drop reason)
{
	struct ipvx_stats *stats = stats_of(slave);

	if (stats)
		stats->tx.dropped++;
	count_reason(slave, reason);
}

static __always_inline void count_passed(__u32 master, __u32 bytes)
{
	struct ipvx_passed_key key = { .master = master };
	struct ipvx_passed *passed;

	if (tracing)
		return;
	passed = bpf_map_lookup_elem(&ipvx_passed, &key);
	if (!passed)
		return;
	passed->packets++;
	passed->bytes += bytes;
}

#endif
