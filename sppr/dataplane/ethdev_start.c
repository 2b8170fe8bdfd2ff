/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <string.h>

#include <rte_errno.h>
#include <rte_ethdev.h>

#include "ethdev_start.h"
#include "say.h"

#define DESCRIPTORS 512

static bool
name_taken(const struct shared_port *ports, uint16_t n, struct uid uid)
{
	uint16_t i;

	for (i = 0; i < n; i++)
		if (ports[i].type == uid.type && ports[i].number == uid.number)
			return true;
	return false;
}

uint16_t
ethdev_pick(const struct config *cfg, struct shared_port *ports)
{
	const uint64_t mask = cfg->port_mask;
	uint16_t id, n = 0, phys = 0;
	uint64_t found = 0;
	struct uid uid;

	RTE_ETH_FOREACH_DEV(id) {
		if (id >= 64 || (mask & (1ULL << id)) == 0)
			continue;
		found |= 1ULL << id;
		memset(&ports[n], 0, sizeof(ports[n]));
		if (rte_eth_dev_get_name_by_port(id, ports[n].name) < 0)
			continue;
		if (uid_from_ethdev_name(ports[n].name, &uid) < 0 || name_taken(ports, n, uid))
			uid = (struct uid){ PORT_PHY, phys++, 0 };
		ports[n].ethdev = id;
		ports[n].type = uid.type;
		ports[n].number = uid.number;
		ports[n].nrxq = ports[n].ntxq = 1;
		if (id < MAX_PORT_IDS && cfg->queues[id].rx > 0) {
			ports[n].nrxq = cfg->queues[id].rx;
			ports[n].ntxq = cfg->queues[id].tx;
		}
		n++;
	}
	if ((mask & ~found) != 0)
		say("warning: -p has bits 0x%" PRIx64 " beyond the ports that exist",
				mask & ~found);
	return n;
}

/* Several rx queues: the device spreads flows over them, as well as it can. */
static void
spread(struct rte_eth_conf *conf, const struct rte_eth_dev_info *info)
{
	const uint64_t flows = RTE_ETH_RSS_IP | RTE_ETH_RSS_TCP | RTE_ETH_RSS_UDP;

	conf->rx_adv_conf.rss_conf.rss_hf = flows & info->flow_type_rss_offloads;
	if (conf->rx_adv_conf.rss_conf.rss_hf != 0)
		conf->rxmode.mq_mode = RTE_ETH_MQ_RX_RSS;
}

static int
setup_queues(const struct shared_port *port, const struct rte_eth_dev_info *info,
		struct rte_mempool *pool)
{
	const uint16_t id = port->ethdev;
	struct rte_eth_conf conf;
	uint16_t rx = DESCRIPTORS, tx = DESCRIPTORS, q;
	unsigned int socket = (unsigned int)rte_eth_dev_socket_id(id);
	int ret;

	memset(&conf, 0, sizeof(conf));
	if (port->nrxq > 1)
		spread(&conf, info);
	ret = rte_eth_dev_configure(id, port->nrxq, port->ntxq, &conf);
	if (ret == 0)
		ret = rte_eth_dev_adjust_nb_rx_tx_desc(id, &rx, &tx);
	for (q = 0; ret == 0 && q < port->nrxq; q++)
		ret = rte_eth_rx_queue_setup(id, q, rx, socket, NULL, pool);
	for (q = 0; ret == 0 && q < port->ntxq; q++)
		ret = rte_eth_tx_queue_setup(id, q, tx, socket, NULL);
	return ret;
}

int
ethdev_start(const struct shared_port *port, struct rte_mempool *pool)
{
	struct rte_eth_dev_info info;
	int ret = rte_eth_dev_info_get(port->ethdev, &info);

	if (ret == 0)
		ret = setup_queues(port, &info, pool);
	if (ret == 0)
		ret = rte_eth_dev_start(port->ethdev);
	if (ret < 0) {
		say("cannot start port %s: %s", port->name, rte_strerror(-ret));
		return -1;
	}
	ret = rte_eth_promiscuous_enable(port->ethdev);
	if (ret < 0 && ret != -ENOTSUP)
		say("warning: port %s is not promiscuous: %s", port->name, rte_strerror(-ret));
	return 0;
}

void
ethdev_stop(const struct shared_port *port, bool close)
{
	if (rte_eth_dev_stop(port->ethdev) == 0 && close)
		rte_eth_dev_close(port->ethdev);
}
