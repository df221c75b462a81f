/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The maps. Their keys and values, and the question each answers, are in
 * datapath_abi.h. The loader sets sizes and pins; no pinning here, so that
 * loading this object by hand leaves nothing behind.
 */
#ifndef IPVLANX_MAPS_BPF_H
#define IPVLANX_MAPS_BPF_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

#include "ipvlanx/datapath_abi.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ipvx_about);
} ipvx_about SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct ipvx_addr_key);
	__type(value, struct ipvx_addr);
} ipvx_addrs SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, struct ipvx_port_key);
	__type(value, struct ipvx_port);
} ipvx_ports SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct ipvx_slave_key);
	__type(value, struct ipvx_slave);
} ipvx_slaves SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct ipvx_member_key);
	__type(value, struct ipvx_member);
} ipvx_members SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ipvx_relay);
} ipvx_relay SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct ipvx_fanouts);
} ipvx_fanouts SEC(".maps");

struct ipvx_queues {
	__uint(type, BPF_MAP_TYPE_XSKMAP);
	__uint(max_entries, IPVX_QUEUES);
	__type(key, __u32);
	__type(value, __u32);
};

struct {
	__uint(type, BPF_MAP_TYPE_HASH_OF_MAPS);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, struct ipvx_sockets_key);
	__array(values, struct ipvx_queues);
} ipvx_sockets SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 65536);
	__type(key, struct ipvx_stats_key);
	__type(value, struct ipvx_stats);
} ipvx_stats SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 262144);
	__type(key, struct ipvx_drop_key);
	__type(value, struct ipvx_drop_count);
} ipvx_drops SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1024);
	__type(key, struct ipvx_passed_key);
	__type(value, struct ipvx_passed);
} ipvx_passed SEC(".maps");

#endif
