/* SPDX-License-Identifier: BSD-3-Clause */
#include <net/if.h>

#include <rte_ethdev.h>

#include "port.h"
#include "tunfd.h"

/* An ethdev that the primary configured and started: phy:N, and its vdevs. */
struct port_ethdev {
	struct port port;
	uint16_t id;
	uint16_t queue;
	struct rte_mempool *pool; /* of plain_null_rx */
};

static uint16_t
ethdev_rx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	const struct port_ethdev *p = (struct port_ethdev *)port;

	return rte_eth_rx_burst(p->id, p->queue, bufs, n);
}

static uint16_t
ethdev_tx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	const struct port_ethdev *p = (struct port_ethdev *)port;

	return rte_eth_tx_burst(p->id, p->queue, bufs, n);
}

/* net_null without options, done here: the driver frees one mbuf at a time, and its two functions
 * take nine tenths of a patch null to null (docs/dataplane.md, figures).
 */
static uint16_t
plain_null_rx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	const struct port_ethdev *p = (struct port_ethdev *)port;

	return null_frames(p->pool, bufs, n);
}

static uint16_t
plain_null_tx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	(void)port;
	rte_pktmbuf_free_bulk(bufs, n);
	return n;
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

static const struct port_ops plain_null_ops = {
	.rx_burst = plain_null_rx,
	.tx_burst = plain_null_tx,
	.close = ethdev_close,
};

/* A queue number that only one direction has. */
static const struct port_ops rx_only_ops = {
	.rx_burst = ethdev_rx,
	.close = ethdev_close,
};

static const struct port_ops tx_only_ops = {
	.tx_burst = ethdev_tx,
	.close = ethdev_close,
};

static const struct port_ops *
ops_for(const struct shared_port *dev, uint16_t queue)
{
	if (queue >= dev->ntxq)
		return &rx_only_ops;
	if (queue >= dev->nrxq)
		return &tx_only_ops;
	return dev->plain_null ? &plain_null_ops : &ethdev_ops;
}

/* A tap is readable when a frame has come; of several queues' fds nothing tells which is which.
 * Other devices: no event a secondary can wait on.
 */
static int
event_of(const struct shared_port *dev)
{
	char name[IF_NAMESIZE];
	struct rte_eth_dev_info info;

	if (dev->type != PORT_TAP || rte_eth_dev_info_get(dev->ethdev, &info) < 0 ||
			dev->nrxq != 1 || if_indextoname(info.if_index, name) == NULL)
		return WAIT_POLL;
	return tunfd_find("/proc/self/fdinfo", name);
}

struct port *
port_ethdev_open(const struct port_env *env, uint16_t index, uint16_t queue)
{
	struct shared *info = env->view->info;
	struct shared_port *dev = &info->port[index];
	struct uid uid = { (enum port_type)dev->type, dev->number, 0 };
	struct port_ethdev *p;

	if (dev->nrxq > 1 || dev->ntxq > 1)
		uid.nq = (uint16_t)(queue + 1);
	p = port_alloc(sizeof(*p), uid, ops_for(dev, queue));
	if (p == NULL)
		return NULL;
	p->queue = queue;
	p->pool = env->view->pool;
	p->id = dev->ethdev;
	p->port.stats = &info->port_stats[index][queue];
	p->port.users = &dev->users[queue];
	p->port.fixed = true;
	p->port.wait_fd = event_of(dev);
	return &p->port;
}
