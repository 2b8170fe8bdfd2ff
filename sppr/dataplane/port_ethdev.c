/* SPDX-License-Identifier: BSD-3-Clause */
#include <net/if.h>

#include <rte_ethdev.h>

#include "port.h"
#include "tunfd.h"

/* An ethdev that the primary configured and started: phy:N, and its vdevs. */
struct port_ethdev {
	struct port port;
	uint16_t id;
};

static uint16_t
ethdev_rx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	return rte_eth_rx_burst(((struct port_ethdev *)port)->id, 0, bufs, n);
}

static uint16_t
ethdev_tx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	return rte_eth_tx_burst(((struct port_ethdev *)port)->id, 0, bufs, n);
}

static void
ethdev_close(struct port *port)
{
	(void)port; /* the primary stops its devices when it ends */
}

static const struct port_ops ethdev_ops = {
	.rx_burst = ethdev_rx,
	.tx_burst = ethdev_tx,
	.close = ethdev_close,
};

/* A tap is readable when a frame has come. Other devices: no event a secondary can wait on. */
static int
event_of(const struct shared_port *dev)
{
	char name[IF_NAMESIZE];
	struct rte_eth_dev_info info;

	if (dev->type != PORT_TAP || rte_eth_dev_info_get(dev->ethdev, &info) < 0 ||
			info.nb_rx_queues != 1 || if_indextoname(info.if_index, name) == NULL)
		return WAIT_POLL;
	return tunfd_find("/proc/self/fdinfo", name);
}

struct port *
port_ethdev_open(const struct port_env *env, uint16_t index)
{
	struct shared *info = env->view->info;
	struct shared_port *dev = &info->port[index];
	struct uid uid = { (enum port_type)dev->type, dev->number };
	struct port_ethdev *p = port_alloc(sizeof(*p), uid, &ethdev_ops);

	if (p == NULL)
		return NULL;
	p->id = dev->ethdev;
	p->port.stats = &info->port_stats[index];
	p->port.users = &dev->users;
	p->port.fixed = true;
	p->port.wait_fd = event_of(dev);
	return &p->port;
}
