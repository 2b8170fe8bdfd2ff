/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "forward/fanout.h"

void *
fanout_new(size_t size, const struct port_ops *ops, struct port *src, unsigned int outputs)
{
	struct fanout *f = port_alloc(size, src->id, ops);

	if (f == NULL)
		return NULL;
	f->src = src;
	f->output = aligned_alloc(RTE_CACHE_LINE_SIZE, outputs * sizeof(f->output[0]));
	if (f->output != NULL)
		return f;
	free(f);
	return NULL;
}

unsigned int
fanout_add(struct fanout *f, struct port *port)
{
	unsigned int i;

	for (i = 0; i < f->n; i++)
		if (f->output[i].port == port)
			return i;
	f->output[f->n] = (struct output){
		.tx = port_tx_burst(port),
		.port = port,
		.counts_bytes = f->src->ops->counts_bytes || port->ops->counts_bytes,
	};
	return f->n++;
}

void
fanout_free(struct fanout *f)
{
	unsigned int i;

	for (i = 0; i < f->n; i++)
		rte_pktmbuf_free_bulk(f->output[i].bufs, f->output[i].n);
	if (f->port.ops->close != NULL)
		f->port.ops->close(&f->port);
	free(f->output);
	free(f);
}
