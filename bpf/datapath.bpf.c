// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* The table of contents: every hook, and where a packet goes from it.
 *
 *             wire                       container
 *              |                             |
 *        ipvx_master_rx                ipvx_slave_tx
 *        (TC ingress of          (TC ingress of the host end
 *         the master)               of a slave's veth)
 *         /        \               /        |        \
 *      slave      host         slave      host      wire
 *                   \                     /
 *                    the host's stack (l3s; l3 from a slave)
 *                   /                     \
 *            ipvx_slave_rx               wire
 *       (TC egress of the host end)
 *                  |
 *                slave
 *
 * Rule numbers are those of SEMANTICS.md, functions those of
 * drivers/net/ipvlan/ipvlan_core.c.
 */
#include "deliver.bpf.h"
#include "fanout.bpf.h"
#include "lookup.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* Rule 12, ipvlan_external_frame(): the slave that sent what the wire gives
 * back here; NULL for what the wire brings.
 */
static __always_inline struct ipvx_addr *
own_sender(struct __sk_buff *skb, struct cursor c, const struct ethhdr *eth,
	   const struct ipvx_port *port)
{
	if (!is_same_mac(eth->h_source, port->mac))
		return NULL;
	return owner(skb, c, SOURCE, skb->ifindex);
}

/* Rules 10 and 30: copies for the slaves; the host keeps its own. */
static __always_inline int rx_group(struct __sk_buff *skb, struct cursor c,
				    const struct ethhdr *eth,
				    struct ipvx_port *port)
{
	struct ipvx_addr *sender;

	if (skb->vlan_present || skb->protocol == bpf_htons(ETH_P_PAUSE))
		return keep_for_host(skb);
	sender = own_sender(skb, c, eth, port);
	if (!sender)
		copy_to_slaves(skb, skb->ifindex, port->slots, NO_SENDER);
	else if (port->flag == IPVX_VEPA && port->strict_private)
		copy_to_slaves(skb, skb->ifindex, port->slots, sender->slave);
	return keep_for_host(skb);
}

/* RX on the master: a packet for a slave's address goes to that slave, in l3s
 * by the host's stack; everything else stays with the host. As
 * ipvlan_handle_frame().
 */
SEC("tc")
int ipvx_master_rx(struct __sk_buff *skb)
{
	struct cursor c = open_frame(skb);
	struct ethhdr *eth = take(&c, sizeof(*eth));
	struct ipvx_port *port;
	struct ipvx_addr *addr;

	/* The host's own multicast on its way back to it comes from no wire,
	 * and without an Ethernet header. What is for another MAC address, on
	 * a promiscuous master, is no slave's either: in the slave's namespace
	 * nobody would know any more.
	 */
	if (!eth || skb->pkt_type == PACKET_LOOPBACK ||
	    skb->pkt_type == PACKET_OTHERHOST)
		return keep_for_host(skb);
	if (is_group_address(eth->h_dest)) {
		port = port_of(skb->ifindex);
		if (port && port->mode == IPVX_L2)
			return rx_group(skb, c, eth, port);
	}
	addr = owner(skb, c, DESTINATION, skb->ifindex);
	if (!addr)
		return keep_for_host(skb);
	if (addr->mode == IPVX_L3S)
		return through_stack_to_slave(skb, c, addr->slave);
	return to_slave(skb, addr);
}

/* Rule 41: one MAC address on the wire, whatever the slave wrote. */
static __always_inline struct cursor
open_own_frame(struct __sk_buff *skb, const struct ipvx_slave *slave)
{
	struct cursor c = open_frame(skb);
	struct ethhdr *eth = c.next;

	if ((void *)(eth + 1) > c.end || is_same_mac(eth->h_source, slave->mac))
		return c;
	bpf_skb_store_bytes(skb, offsetof(struct ethhdr, h_source), slave->mac,
			    ETH_ALEN, 0);
	return open_frame(skb);
}

/* Rule 28: flags do not hold for broadcasts, unless the port is told so. */
static __always_inline bool isolates(const struct ipvx_port *port)
{
	return port->flag != IPVX_BRIDGE && port->strict_private;
}

/* Rule 26: the other slaves get copies, the wire the frame; the host nothing
 * (rule 27). A tagged frame is for the wire only: slaves are untagged.
 */
static __always_inline int tx_group(struct __sk_buff *skb,
				    const struct ipvx_slave *slave)
{
	struct ipvx_port *port;

	if (skb->protocol == bpf_htons(ETH_P_PAUSE))
		return drop_tx(slave->slave, IPVX_DROP_PAUSE);
	port = port_of(slave->master);
	if (port && !skb->vlan_present && !isolates(port))
		copy_to_slaves(skb, slave->master, port->slots, slave->slave);
	return to_wire(skb, slave, GROUP);
}

/* As ipvlan_xmit_mode_l2(): the MAC address says where to. */
static __always_inline int tx_l2(struct __sk_buff *skb, struct cursor c,
				 const struct ethhdr *eth,
				 const struct ipvx_slave *slave)
{
	struct ipvx_addr *addr;

	if (is_group_address(eth->h_dest))
		return tx_group(skb, slave);
	if (slave->flag == IPVX_VEPA || !is_same_mac(eth->h_dest, slave->mac))
		return to_wire(skb, slave, UNICAST);
	addr = owner(skb, c, DESTINATION, slave->master);
	if (!addr)
		return to_host(skb, slave);
	if (slave->flag == IPVX_PRIVATE)
		return drop_tx(slave->slave, IPVX_DROP_PRIVATE);
	return to_sibling(skb, slave, addr);
}

/* In l3 with vepa, to a sibling: the external switch decides, and gives back
 * what bears the shared MAC address. (The kernel's host asks the wire for the
 * sibling's MAC address first, and gets no answer.)
 */
static __always_inline int to_switch(struct __sk_buff *skb,
				     const struct ipvx_slave *slave)
{
	bpf_skb_store_bytes(skb, offsetof(struct ethhdr, h_dest), slave->mac,
			    ETH_ALEN, 0);
	return to_wire(skb, slave, UNICAST);
}

/* As ipvlan_xmit_mode_l3(): the IP address does, of one of the port or else the
 * host's routes.
 */
static __always_inline int tx_l3(struct __sk_buff *skb, struct cursor c,
				 const struct ethhdr *eth,
				 const struct ipvx_slave *slave)
{
	struct ipvx_addr *addr = owner(skb, c, DESTINATION, slave->master);

	if (addr && slave->flag == IPVX_PRIVATE)
		return drop_tx(slave->slave, IPVX_DROP_PRIVATE);
	if (addr && slave->flag != IPVX_VEPA)
		return to_sibling(skb, slave, addr);
	if (is_group_address(eth->h_dest))
		return drop_tx(slave->slave, IPVX_DROP_GROUP);
	if (!is_ip(skb))
		return drop_tx(slave->slave, IPVX_DROP_NOT_IP);
	if (is_to_group(skb, c))
		return drop_tx(slave->slave, IPVX_DROP_GROUP);
	if (addr)
		return to_switch(skb, slave);
	return through_stack(skb, c, slave);
}

/* TX of a slave, at its host end: to the other slaves, the host, the wire. */
SEC("tc")
int ipvx_slave_tx(struct __sk_buff *skb)
{
	struct ipvx_slave *slave = slave_behind(skb->ifindex);
	struct ethhdr *eth;
	struct cursor c;

	if (!slave)
		return drop_tx(0, IPVX_DROP_NO_SLAVE);
	c = open_own_frame(skb, slave);
	eth = take(&c, sizeof(*eth));
	if (!eth)
		return drop_tx(slave->slave, IPVX_DROP_TRUNCATED);

	if (slave->mode == IPVX_L2)
		return tx_l2(skb, c, eth, slave);
	return tx_l3(skb, c, eth, slave);
}

/* Rule 74: from a socket of the host's. What the stack says about a packet of
 * the slave (an ICMP error, a reset by netfilter's REJECT) is not: that the
 * slave gets.
 */
static __always_inline bool is_of_host(struct __sk_buff *skb, struct cursor c)
{
	return !skb->ingress_ifindex && skb->sk && !is_icmp_error(skb, c);
}

/* The host's stack has routed a packet to a slave, in l3s and wherever it
 * answers for itself: the last hook before it is there.
 */
SEC("tc")
int ipvx_slave_rx(struct __sk_buff *skb)
{
	struct ipvx_slave *slave = slave_behind(skb->ifindex);
	struct cursor c = open_frame(skb);

	if (!slave || skb->tc_index == STEERED)
		return VERDICT_NEXT;
	if (!take(&c, sizeof(struct ethhdr)))
		return drop_rx(slave->slave, IPVX_DROP_TRUNCATED);
	if (is_of_host(skb, c))
		return drop_rx(slave->slave, IPVX_DROP_HOST);
	if (skb->ingress_ifindex && skb->tc_index != LIFE_ADDED)
		add_life(skb, c);
	return hand_over(skb, slave);
}

/* Rule 64: the host announces a slave's address in the slave's name. */
static __always_inline int say_as_slave(struct __sk_buff *skb)
{
	struct ipvx_slave *slave = slave_behind(skb->mark >> 8);

	skb->mark = 0;
	if (!slave)
		return drop_tx(0, IPVX_DROP_NO_SLAVE);
	return tx_group(skb, slave);
}

/* The relay's exit: a broadcast that still has slaves before it. Counted when
 * it entered its first hook; what comes by here is a copy.
 */
SEC("tc")
int ipvx_relay_rx(struct __sk_buff *skb)
{
	if ((skb->mark & 0xff) == IPVX_AS_SLAVE)
		return say_as_slave(skb);
	copy_to_further_slaves(skb);
	return TC_ACT_SHOT;
}
