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

struct port *
port_open(const struct port_env *env, struct port_id id)
{
	switch (id.type) {
	case PORT_RING:
		return port_ring_open(env, id);
	case PORT_VHOST:
		return port_vhost_open(env, id);
	case PORT_TAP:
		return port_tap_open(env, id);
	case PORT_NULL:
		return port_null_open(env, id);
	case PORT_PCAP:
		return port_pcap_open(env, id);
	case PORT_IVSHMEM:
		return port_ivshmem_open(env, id);
	case PORT_PROBE:
		return port_probe_open(env, id);
	case PORT_MEMIF:
		return port_memif_open(env, id);
	default:
		log_line("ports of this type cannot be added");
		return NULL;
	}
}

void
port_close(struct port *port)
{
	port->ops->close(port);
	free(port);
}

static int
add_queues(struct port_table *table, const struct port_env *env, uint16_t index)
{
	const struct shared_port *dev = &env->view->info->port[index];
	struct port *port;
	uint16_t q;

	for (q = 0; q < RTE_MAX(dev->nrxq, dev->ntxq); q++) {
		port = port_ethdev_open(env, index, q);
		if (port == NULL)
			return -1;
		if (port_table_insert(table, port) < 0) {
			port_close(port);
			return -1;
		}
	}
	return 0;
}

int
port_add_ethdevs(struct port_table *table, const struct port_env *env)
{
	const struct shared *info = env->view->info;
	uint16_t i;

	for (i = 0; i < info->nports; i++) {
		/* net_vhost and net_memif work only in the process that started them */
		if (!env->cfg->primary && (info->port[i].type == PORT_VHOST ||
							  info->port[i].type == PORT_MEMIF))
			continue;
		/* a secondary started with --no-pci does not have the primary's NICs */
		if (!rte_eth_dev_is_valid_port(info->port[i].ethdev)) {
			log_line("port %s of the primary is not visible here", info->port[i].name);
			continue;
		}
		if (add_queues(table, env, i) < 0)
			return -1;
	}
	return 0;
}
