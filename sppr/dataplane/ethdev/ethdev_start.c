/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <rte_errno.h>
#include <rte_ethdev.h>
#include <rte_ether.h>

#include "base/log.h"
#include "ethdev/ethdev_start.h"
#include "forward/deliver.h"
#include "port/registry.h"

#define DESCRIPTORS 512 /* net_af_packet has as many slots */
#define LINK_MTU (RTE_ETHER_MTU + 2 * RTE_VLAN_HLEN)

/* Enable RSS, so that the device distributes flows over its rx queues. */
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

/* Let a NIC that is a link pass tagged frames of 1522 bytes, with FCS, behind our own tag. The
 * interface of a net_af_packet has the MTU that its owner set.
 */
static void
set_mtu_of_link(const struct shared_port *port)
{
	struct port_id id;
	int ret;

	if (port->type != PORT_LINK || port_registry_id_of_ethdev(port->name, &id) == 0)
		return;
	ret = rte_eth_dev_set_mtu(port->ethdev, LINK_MTU);
	if (ret < 0)
		log_line("warning: link:%u: the MTU of %s cannot be %u: %s; it may drop frames of "
			 "full size",
				port->number, port->name, LINK_MTU, rte_strerror(-ret));
}

/* Drop the frames that a link has received so far. Until net_af_packet binds its socket to the
 * interface, it receives frames of all interfaces.
 */
static void
drop_received(uint16_t ethdev)
{
	struct rte_mbuf *bufs[FORWARD_BURST];
	uint16_t i, n;

	for (i = 0; i < DESCRIPTORS / FORWARD_BURST; i++) {
		n = rte_eth_rx_burst(ethdev, 0, bufs, FORWARD_BURST);
		rte_pktmbuf_free_bulk(bufs, n);
	}
}

int
ethdev_start(const struct shared_port *port, struct rte_mempool *pool)
{
	struct rte_eth_dev_info info;
	int ret = rte_eth_dev_info_get(port->ethdev, &info);

	if (ret == 0)
		ret = setup_queues(port, &info, pool);
	if (ret == 0)
		set_mtu_of_link(port);
	if (ret == 0)
		ret = rte_eth_dev_start(port->ethdev);
	if (ret < 0) {
		log_line("cannot start port %s: %s", port->name, rte_strerror(-ret));
		return -1;
	}
	if (port->type == PORT_LINK)
		drop_received(port->ethdev);
	ret = rte_eth_promiscuous_enable(port->ethdev);
	if (ret < 0 && ret != -ENOTSUP)
		log_line("warning: port %s is not promiscuous: %s", port->name, rte_strerror(-ret));
	return 0;
}

void
ethdev_stop(const struct shared_port *port, bool close)
{
	if (rte_eth_dev_stop(port->ethdev) == 0 && close)
		rte_eth_dev_close(port->ethdev);
}
