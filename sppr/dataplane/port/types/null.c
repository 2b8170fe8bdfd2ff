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

static uint16_t
null_rx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	struct port_null *p = (struct port_null *)port;
	uint16_t i;

	if (rte_pktmbuf_alloc_bulk(p->pool, bufs, n) != 0)
		return 0;
	for (i = 0; i < n; i++) {
		bufs[i]->data_len = FRAME;
		bufs[i]->pkt_len = FRAME;
	}
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
