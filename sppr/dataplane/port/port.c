/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "port/port.h"

void *
port_alloc(size_t size, struct port_id id, const struct port_ops *ops)
{
	struct port *port;

	size = RTE_CACHE_LINE_ROUNDUP(size);
	port = aligned_alloc(RTE_CACHE_LINE_SIZE, size);
	if (port == NULL) {
		log_line("no memory for a port");
		return NULL;
	}
	memset((void *)port, 0, size);
	port->ops = ops;
	port->id = id;
	port->stats = &port->own_stats;
	port->wait_fd = WAIT_POLL;
	port->rx_worker = -1;
	port->tx_worker = -1;
	port->pinned = -1;
	return port;
}

void
port_close(struct port *port)
{
	port->ops->close(port);
	free(port->rules);
	free(port);
}

bool
port_is_source(const struct port *port)
{
	return port_destination(port, 0) != NULL;
}

struct port *
port_destination(const struct port *port, unsigned int i)
{
	struct port *const fixed[] = { port->patched_to, port->mirrored_to };
	unsigned int k;

	for (k = 0; k < RTE_DIM(fixed); k++)
		if (fixed[k] != NULL && i-- == 0)
			return fixed[k];
	return port->rules != NULL && i < port->rules->n ? port->rules->rule[i].dst : NULL;
}
