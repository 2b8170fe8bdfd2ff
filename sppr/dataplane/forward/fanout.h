/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FORWARD_FANOUT_H
#define FORWARD_FANOUT_H

#include "forward/deliver.h"

/* A destination with several outputs: a classifier (one output for each frame), or a mirror (all
 * outputs). It belongs to one patch table. It is made new with each new table, and flushed by its
 * worker before the table is freed.
 */

/* The first frames share a cache line with n: most outputs of a classifier have few. */
struct output {
	burst_function *tx;
	struct port *port;
	bool counts_bytes;
	uint16_t n; /* frames in bufs */
	struct rte_mbuf *bufs[FORWARD_BURST];
} __rte_cache_aligned;

struct fanout {
	struct port port; /* the first member */
	struct port *src;
	unsigned int n;
	struct output *output;
};

/* Allocate a fanout of the given size with room for outputs. Return NULL without memory. */
void *fanout_new(size_t size, const struct port_ops *ops, struct port *src, unsigned int outputs);

/* Add a port to the outputs unless it is among them. Return its index. */
unsigned int fanout_add(struct fanout *f, struct port *port);

/* Free a fanout, and the frames that it still has. */
void fanout_free(struct fanout *f);

static inline void
output_flush(struct output *o)
{
	uint64_t bytes = o->counts_bytes ? total_bytes(o->bufs, o->n) : 0;

	deliver(o->tx, o->port, o->bufs, o->n, bytes, o->counts_bytes);
	o->n = 0;
}

static inline void
fanout_flush(struct fanout *f)
{
	unsigned int i;

	for (i = 0; i < f->n; i++)
		if (f->output[i].n > 0)
			output_flush(&f->output[i]);
}

static inline void
output_push(struct output *o, struct rte_mbuf *m)
{
	o->bufs[o->n++] = m;
	if (o->n == FORWARD_BURST)
		output_flush(o);
}

#endif
