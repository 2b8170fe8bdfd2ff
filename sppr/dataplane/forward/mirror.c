/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "forward/mirror.h"

static uint16_t
mirror_tx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	struct fanout *f = (struct fanout *)port;
	struct rte_mbuf *copy[FORWARD_BURST];
	struct output *o;
	unsigned int i;

	for (i = 0; i < n; i++) {
		copy[i] = bufs[i];
		if (likely(bufs[i]->nb_segs == 1 && rte_mbuf_refcnt_read(bufs[i]) == 1))
			rte_mbuf_refcnt_set(bufs[i], 2);
		else
			rte_pktmbuf_refcnt_update(bufs[i], 1);
	}
	for (i = 0; i < 2; i++) {
		o = &f->output[i];
		deliver(o->tx, o->port, i == 0 ? copy : bufs, n,
				o->counts_bytes ? total_bytes(bufs, n) : 0, o->counts_bytes);
	}
	return n;
}

static const struct port_ops mirror_ops = { .tx_burst = mirror_tx };

struct fanout *
mirror_new(struct port *src, struct port *first, struct port *second)
{
	struct fanout *f = fanout_new(sizeof(*f), &mirror_ops, src, 2);

	if (f == NULL)
		return NULL;
	fanout_add(f, first);
	fanout_add(f, second);
	return f;
}
