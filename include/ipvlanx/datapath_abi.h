/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the BPF programs and the daemon share: the keys and values of every
 * map, in one header for both. C for bpf/, C++ for lib/datapath.
 *
 * Addresses and MACs are byte arrays in network order, so that
 * `bpftool map dump` prints them as a person writes them; numbers are in host
 * order. Every map is pinned as <pin root>/maps/<name>.
 *
 * A change of anything here is a new IPVX_ABI_VERSION.
 */
#ifndef IPVLANX_DATAPATH_ABI_H
#define IPVLANX_DATAPATH_ABI_H

#include <linux/types.h>

/* clang-format off */

#ifdef __cplusplus
#define IPVX_ABI_SIZE(type, size) static_assert(sizeof(type) == (size), #type)
#else
#define IPVX_ABI_SIZE(type, size) _Static_assert(sizeof(type) == (size), #type)
#endif

#define IPVX_ABI_VERSION 4

/* The values of IPVLAN_MODE_* in linux/if_link.h. */
enum ipvx_mode {
	IPVX_L2  = 0,
	IPVX_L3  = 1,
	IPVX_L3S = 2,
};

enum ipvx_flag {
	IPVX_BRIDGE  = 0,
	IPVX_PRIVATE = 1,
	IPVX_VEPA    = 2,
};

enum ipvx_option {
	IPVX_OFF = 0,
	IPVX_ON  = 1,
};

enum ipvx_family {
	IPVX_IPV4 = 4,
	IPVX_IPV6 = 6,
};

/* How a packet gets from a hook into a slave. */
enum ipvx_way {
	IPVX_BY_PEER     = 0, /* bpf_redirect_peer(): straight into the slave's namespace */
	IPVX_BY_HOST_END = 1, /* through the host end: the slave is in the host's namespace */
	IPVX_TO_SOCKETS  = 2, /* the same, by XDP where the master has it: AF_XDP sockets take the frames */
	IPVX_DIRECT      = 3, /* to AF_XDP sockets on the master (ipvx_sockets); else through the host end */
};

/* Which XDP program does a master need? What it got, the kernel says. */
enum ipvx_xdp {
	IPVX_XDP_OFF     = 0,
	IPVX_XDP_AUTO    = 1, /* native, where the driver can */
	IPVX_XDP_NATIVE  = 2,
	IPVX_XDP_GENERIC = 3,
	IPVX_XDP_ANY     = 4, /* native where the driver can, else generic */
};

/* Why a packet ended in a hook. Closed list; the API's words are in
 * lib/datapath/drops.h.
 */
enum ipvx_drop {
	IPVX_DROP_TRUNCATED    = 0, /* shorter than an Ethernet header */
	IPVX_DROP_PAUSE        = 1, /* a slave sent an Ethernet PAUSE frame */
	IPVX_DROP_NO_SLAVE     = 2, /* the host end belongs to no slave (any more) */
	IPVX_DROP_CLONE_FAILED = 3, /* no memory for a slave's copy, or its queue is full */
	IPVX_DROP_FANOUT_FULL  = 4, /* more broadcasts at once than copies can be made of */
	IPVX_DROP_FANOUT_LOST  = 5, /* a broadcast was lost on its way to the later slaves */
	IPVX_DROP_PRIVATE      = 6, /* to a sibling, which flag private forbids */
	IPVX_DROP_GROUP        = 7, /* in l3 and l3s a slave sends no broadcast or multicast */
	IPVX_DROP_NOT_IP       = 8, /* in l3 and l3s a slave sends IPv4 and IPv6, untagged */
	IPVX_DROP_HOST         = 9, /* to a slave from the host itself (host-access is off) */
	IPVX_DROP_REASONS      = 10,
};

/* What becomes of a packet at a hook: what the programs of trace.bpf.o return, with
 * the slave's id, or the reason, in the lower half. Not in any map.
 */
enum ipvx_fate {
	IPVX_FATE_SLAVE   = 1, /* goes into this slave */
	IPVX_FATE_HOST    = 2, /* is the host's own */
	IPVX_FATE_ROUTED  = 3, /* up the host's stack, to be routed; to this slave, or 0 */
	IPVX_FATE_WIRE    = 4, /* leaves by the master */
	IPVX_FATE_DROPPED = 5, /* for this enum ipvx_drop */
};
#define IPVX_FATE(fate, of) ((__u32)(fate) << 16 | (of))
#define IPVX_FATE_OF(value) ((value) & 0xffff)
#define IPVX_TRACED_COPIES  0 /* which skb->cb[] counts the slaves that get copies */

/* Map ipvx_about: which ABI do these maps speak? One entry. */
struct ipvx_about {
	__u32 abi_version;
};
IPVX_ABI_SIZE(struct ipvx_about, 4);

/* Map ipvx_addrs: which slave owns this address on this master?
 * Only addresses of slaves that are up are here: what is not found belongs to
 * the host. As ipvlan's hash of addresses (ipvlan_ht_addr_lookup()).
 */
struct ipvx_addr_key {
	__u32            master;   /* ifindex */
	enum ipvx_family family;
	__u8             addr[16]; /* network order; IPv4 in the first 4, rest 0 */
};
IPVX_ABI_SIZE(struct ipvx_addr_key, 24);

struct ipvx_addr {
	/* hot: what delivery reads */
	__u32          host_end; /* ifindex, in the host's namespace */
	enum ipvx_way  way;
	__u32          slave;    /* id */
	enum ipvx_mode mode;     /* of its port */
	__u8           mac[6];   /* the master's: XDP is not told whom a frame is for */
	__u8           zero[2];
	/* for people */
	__u32          container_end; /* ifindex, in the slave's namespace */
};
IPVX_ABI_SIZE(struct ipvx_addr, 28);

/* Map ipvx_ports: how does this master treat its slaves? */
struct ipvx_port_key {
	__u32 master; /* ifindex */
};
IPVX_ABI_SIZE(struct ipvx_port_key, 4);

struct ipvx_port {
	enum ipvx_mode   mode;
	enum ipvx_flag   flag;
	enum ipvx_option strict_private; /* private and vepa hold for broadcasts too */
	__u32            slots; /* ipvx_members holds slots 0 .. slots-1, with gaps */
	__u32            mtu;
	__u8             mac[6];
	__u8             zero[2];
	enum ipvx_xdp    xdp;
};
IPVX_ABI_SIZE(struct ipvx_port, 32);

/* Map ipvx_slaves: whose host end is this? */
struct ipvx_slave_key {
	__u32 host_end; /* ifindex */
};
IPVX_ABI_SIZE(struct ipvx_slave_key, 4);

struct ipvx_slave {
	/* hot */
	__u32          master; /* ifindex */
	__u32          slave;  /* id */
	enum ipvx_mode mode;   /* of its port */
	enum ipvx_flag flag;
	__u8           mac[6]; /* the master's: every frame on the wire bears it */
	__u8           zero[2];
};
IPVX_ABI_SIZE(struct ipvx_slave, 24);

/* Map ipvx_members: who gets a copy of a broadcast? Slaves that are up, in l2. */
struct ipvx_member_key {
	__u32 master; /* ifindex */
	__u32 slot;
};
IPVX_ABI_SIZE(struct ipvx_member_key, 8);

struct ipvx_member {
	__u32 host_end; /* ifindex */
	__u32 slave;    /* id */
};
IPVX_ABI_SIZE(struct ipvx_member, 8);

/* skb->mark of a frame that enters the relay to be broadcast as that slave's own,
 * with its host end's ifindex in it. Not the place of a fan-out (fanout.bpf.h):
 * there are fewer of those than the lowest byte has values.
 */
#define IPVX_AS_SLAVE                0xff
#define IPVX_MARK_AS_SLAVE(host_end) ((host_end) << 8 | IPVX_AS_SLAVE)
#define IPVX_MOST_IN_MARK            0xffffff

/* Map ipvx_relay: where does a broadcast go between two batches of copies? One
 * entry: an end of the veth pair that leads back to ipvx_relay_rx.
 */
struct ipvx_relay {
	__u32 entrance; /* ifindex; 0: there is none */
};
IPVX_ABI_SIZE(struct ipvx_relay, 4);

/* Map ipvx_fanouts: which broadcasts are on their way from batch to batch on this
 * CPU? One entry, per CPU. A frame finds its own by the mark it bears.
 */
#define IPVX_FANOUTS 64 /* at once on one CPU */

struct ipvx_fanout {
	__u64 last_step;  /* bpf_ktime_get_ns(); 0: this entry is free */
	__u32 master;     /* ifindex */
	__u32 sender;     /* slave id: gets no copy of its own frame; 0: the wire */
	__u32 slot;       /* of ipvx_members: who is next */
	__u32 generation; /* how often this entry was used */
};
IPVX_ABI_SIZE(struct ipvx_fanout, 24);

struct ipvx_fanouts {
	__u32 next; /* where to look for a free entry */
	__u32 zero;
	struct ipvx_fanout on_the_way[IPVX_FANOUTS];
};
IPVX_ABI_SIZE(struct ipvx_fanouts, 1544);

/* Map ipvx_sockets: which AF_XDP sockets on the master are this slave's (via afxdp
 * direct)? By receive queue; an inner map is pinned as slaves/<id>/xsks_map.
 */
#define IPVX_QUEUES 64

struct ipvx_sockets_key {
	__u32 slave; /* id */
};
IPVX_ABI_SIZE(struct ipvx_sockets_key, 4);

/* Map ipvx_stats: what went to (rx) and came from (tx) this slave? Per CPU.
 * Bytes are whole frames, a GSO packet counts once, as in ipvlan's own
 * statistics.
 */
struct ipvx_stats_key {
	__u32 slave; /* id */
};
IPVX_ABI_SIZE(struct ipvx_stats_key, 4);

struct ipvx_traffic {
	__u64 packets;
	__u64 bytes;
	__u64 multicast; /* of packets: broadcast and multicast */
	__u64 dropped;   /* not of packets; ipvx_drops says why */
};

struct ipvx_stats {
	struct ipvx_traffic rx;
	struct ipvx_traffic tx;
};
IPVX_ABI_SIZE(struct ipvx_stats, 64);

/* Map ipvx_drops: why, and how often? Per CPU. Slave 0: no slave to blame. */
struct ipvx_drop_key {
	__u32          slave; /* id */
	enum ipvx_drop reason;
};
IPVX_ABI_SIZE(struct ipvx_drop_key, 8);

struct ipvx_drop_count {
	__u64 packets;
};
IPVX_ABI_SIZE(struct ipvx_drop_count, 8);

/* Map ipvx_passed: what did the master keep for the host's own stack? Per CPU. */
struct ipvx_passed_key {
	__u32 master; /* ifindex */
};
IPVX_ABI_SIZE(struct ipvx_passed_key, 4);

struct ipvx_passed {
	__u64 packets;
	__u64 bytes;
};
IPVX_ABI_SIZE(struct ipvx_passed, 16);

#endif
