/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/log.h"
#include "ethdev/ethdev_ports.h"
#include "port/registry.h"
#include "port/types/phy.h"

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
ethdev_ports_add(struct port_table *table, const struct port_env *env)
{
	const struct shared *info = env->view->info;
	uint16_t i;

	for (i = 0; i < info->nports; i++) {
		if (!env->cfg->primary && port_registry_ethdev_is_private(
							  (enum port_type_id)info->port[i].type))
			continue;
		/* a secondary with --no-pci does not have the NICs of the primary */
		if (!rte_eth_dev_is_valid_port(info->port[i].ethdev)) {
			log_line("port %s of the primary is not visible here", info->port[i].name);
			continue;
		}
		if (add_queues(table, env, i) < 0)
			return -1;
	}
	return 0;
}
