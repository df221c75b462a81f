/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What would become of this packet? The daemon asks a second compilation of
 * these programs, trace.bpf.o, by test runs (lib/datapath/tracer.h). There
 * nothing is counted and nothing copied, and what a program returns is the
 * packet's fate instead of the verdict. In datapath.bpf.o nothing of it is
 * left.
 */
#ifndef IPVLANX_TRACE_BPF_H
#define IPVLANX_TRACE_BPF_H

#include <linux/bpf.h>
#include <stdbool.h>
#include <bpf/bpf_helpers.h>

#include "ipvlanx/datapath_abi.h"

#ifndef IPVX_TRACING
#define IPVX_TRACING 0
#endif

static const bool tracing = IPVX_TRACING;

/* What a verb returns. `of`: a slave's id, or why it was dropped. */
static __always_inline int decided(enum ipvx_fate fate, __u32 of, int verdict)
{
	return tracing ? (int)IPVX_FATE(fate, of) : verdict;
}

static __always_inline void trace_copy(struct __sk_buff *skb)
{
	skb->cb[IPVX_TRACED_COPIES]++;
}

#endif
