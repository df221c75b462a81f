// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* At the container end of a slave `via afxdp`: its frames go to the application
 * whose AF_XDP socket is in the map, and to the container's stack where none
 * is.
 *
 * One instance, with a map of its own, for each slave: so no socket can be put
 * into another slave's map. Names and version are those by which libxdp knows
 * its own program (lib/libxdp/xsk.c): it then uses this one, and loads none.
 * There is no count of users: libxdp would detach the program with the last.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

__uint(xsk_prog_version, 1) SEC("xdp_metadata");

struct {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, 64);
	__type(key, __u32); /* queue */
	__type(value, __u32);
} xsks_map SEC(".maps");

SEC("xdp.frags")
int xsk_def_prog(struct xdp_md *ctx)
{
	return bpf_redirect_map(&xsks_map, ctx->rx_queue_index, XDP_PASS);
}
