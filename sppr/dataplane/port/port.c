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
	return port;
}

void
port_close(struct port *port)
{
	port->ops->close(port);
	free(port);
}
