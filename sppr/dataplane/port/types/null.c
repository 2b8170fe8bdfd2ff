/* SPDX-License-Identifier: BSD-3-Clause */
#include "port/port.h"
#include "port/port_type.h"
#include "port/types/null.h"

#define FRAME 64

/* A source of 64-byte frames without content, and a sink that frees all frames. */
struct port_null {
	struct port port;
	struct rte_mempool *pool;
};

/* Set what a receive driver sets. A free mbuf has one segment, and its second cache line needs no
 * write: the process that frees the frame would read it from this core.
 */
static inline void
set_frame(struct rte_mbuf *m)
{
	m->data_off = RTE_PKTMBUF_HEADROOM;
	rte_mbuf_refcnt_set(m, 1);
	m->nb_segs = 1;
	m->port = RTE_MBUF_PORT_INVALID;
	m->ol_flags = 0;
	m->packet_type = 0;
	m->pkt_len = FRAME;
	m->data_len = FRAME;
	m->vlan_tci = 0;
}

static uint16_t
null_rx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	struct port_null *p = (struct port_null *)port;
	uint16_t i;

	if (rte_mempool_get_bulk(p->pool, (void **)bufs, n) != 0)
		return 0;
	for (i = 0; i < n; i++)
		set_frame(bufs[i]);
	return n;
}

static uint16_t
null_tx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	(void)port;
	rte_pktmbuf_free_bulk(bufs, n);
	return n;
}

static void
null_close(struct port *port)
{
	(void)port;
}

static const struct port_ops null_ops = {
	.rx_burst = null_rx,
	.tx_burst = null_tx,
	.close = null_close,
};

struct port *
port_null_open(const struct port_env *env, struct port_id id)
{
	struct port_null *p = port_alloc(sizeof(*p), id, &null_ops);

	if (p == NULL)
		return NULL;
	p->pool = env->view->pool;
	return &p->port;
}

static const char *const ethdev_names[] = { "net_null", "eth_null", NULL };

const struct port_type port_type_null = {
	.open = port_null_open,
	.ethdev_names = ethdev_names,
};
