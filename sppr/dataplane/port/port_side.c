/* SPDX-License-Identifier: BSD-3-Clause */
#include "port/exclusive.h"
#include "port/port.h"
#include "port/vlan.h"

/* VLAN tags and captures at one side of a port. A side that does nothing is not called: a patch
 * then has the function of the port itself.
 */

static bool
change_tag(struct rte_mbuf *m, const void *how)
{
	const struct port_side *side = how;

	switch (side->vlan) {
	case VLAN_ADD:
		return vlan_replace(m, side->tci);
	case VLAN_DEL:
		vlan_pop(m, VLAN_TPID);
		return true;
	default:
		return true; /* the operation was removed, and a new table is on its way */
	}
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
	good = change_frames(bufs, received, change_tag, &port->rx);
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
		n = change_frames(bufs, n, change_tag, &port->tx);
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
