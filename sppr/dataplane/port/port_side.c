/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <rte_byteorder.h>
#include <rte_ether.h>

#include "port/exclusive.h"
#include "port/port.h"

/* VLAN tags and captures at one side of a port. A side that does nothing is not called: a patch
 * then has the function of the port itself.
 */

static bool
is_tagged(const struct rte_mbuf *m)
{
	const struct rte_ether_hdr *ether = rte_pktmbuf_mtod(m, const struct rte_ether_hdr *);

	return m->data_len >= RTE_ETHER_HDR_LEN + RTE_VLAN_HLEN &&
	       ether->ether_type == RTE_BE16(RTE_ETHER_TYPE_VLAN);
}

static bool
add_tag(struct rte_mbuf *m, uint16_t tci)
{
	bool tagged = is_tagged(m);
	uint16_t tag[2] = { RTE_BE16(RTE_ETHER_TYPE_VLAN), rte_cpu_to_be_16(tci) };
	char *start = rte_pktmbuf_mtod(m, char *);

	if (!tagged) {
		if (m->data_len < RTE_ETHER_HDR_LEN)
			return false;
		start = rte_pktmbuf_prepend(m, RTE_VLAN_HLEN);
		if (start == NULL)
			return false;
		memmove(start, start + RTE_VLAN_HLEN, 2 * RTE_ETHER_ADDR_LEN);
	}
	memcpy(start + 2 * RTE_ETHER_ADDR_LEN, tag, sizeof(tag));
	return true;
}

static bool
delete_tag(struct rte_mbuf *m)
{
	char *start = rte_pktmbuf_mtod(m, char *);

	if (is_tagged(m)) {
		memmove(start + RTE_VLAN_HLEN, start, 2 * RTE_ETHER_ADDR_LEN);
		rte_pktmbuf_adj(m, RTE_VLAN_HLEN);
	}
	return true;
}

static bool
change_tag(const struct port_side *side, struct rte_mbuf *m)
{
	switch (side->vlan) {
	case VLAN_ADD:
		return add_tag(m, side->tci);
	case VLAN_DEL:
		return delete_tag(m);
	default:
		return true; /* the operation was removed, and a new table is on its way */
	}
}

/* Change the tags of frames. Return how many were changed; they come first now, in their order. */
static uint16_t
change_tags(const struct port_side *side, struct rte_mbuf **bufs, uint16_t n)
{
	struct rte_mbuf *m, *failed[UINT8_MAX];
	uint16_t i, good = 0, bad = 0;

	for (i = 0; i < n; i++) {
		m = make_exclusive(bufs[i], bufs[i]->pool);
		if (m != NULL && change_tag(side, m))
			bufs[good++] = m;
		else
			failed[bad++] = m != NULL ? m : bufs[i];
	}
	memcpy(&bufs[good], failed, bad * sizeof(bufs[0]));
	return good;
}

/* A capture has the frames as the port receives them, before the VLAN operation. */
static uint16_t
side_rx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	uint16_t received = port->ops->rx_burst(port, bufs, n);
	struct capture_burst captured;
	uint16_t good;

	capture_burst_copy(&captured, &port->rx_captures, bufs, received);
	capture_burst_commit(&captured, received);
	if (port->rx.vlan == VLAN_NONE)
		return received;
	good = change_tags(&port->rx, bufs, received);
	port->stats->rx_drop += (uint64_t)(received - good);
	rte_pktmbuf_free_bulk(&bufs[good], (unsigned int)(received - good));
	return good;
}

/* A capture has the frames as they leave. They are gone after tx_burst, so they are copied before,
 * and only those that the port took are published.
 */
static uint16_t
side_tx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	struct capture_burst captured;
	uint16_t sent;

	if (port->tx.vlan != VLAN_NONE)
		n = change_tags(&port->tx, bufs, n);
	capture_burst_copy(&captured, &port->tx_captures, bufs, n);
	sent = port->ops->tx_burst(port, bufs, n);
	capture_burst_commit(&captured, sent);
	return sent;
}

static bool
side_is_idle(const struct port_side *side, const struct capture_slots *captures)
{
	return side->vlan == VLAN_NONE && !capture_slots_used(captures);
}

burst_function *
port_rx_burst(const struct port *port)
{
	return side_is_idle(&port->rx, &port->rx_captures) ? port->ops->rx_burst : side_rx;
}

burst_function *
port_tx_burst(const struct port *port)
{
	return side_is_idle(&port->tx, &port->tx_captures) ? port->ops->tx_burst : side_tx;
}
