/* SPDX-License-Identifier: BSD-3-Clause */
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include <rte_ethdev.h>
#include <rte_ether.h>

#include "app.h"
#include "base/tun_fd.h"
#include "control/json.h"
#include "port/port_stats.h"
#include "port/port_type.h"
#include "port/types/link.h"
#include "port/types/null.h"
#include "port/types/phy.h"

/* One queue of an ethdev that the primary configured and started: phy:N, or a vdev. */
struct port_ethdev {
	struct port port;
	uint16_t ethdev;
	uint16_t queue;
};

static uint16_t
ethdev_rx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	const struct port_ethdev *p = (struct port_ethdev *)port;

	return rte_eth_rx_burst(p->ethdev, p->queue, bufs, n);
}

static uint16_t
ethdev_tx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	const struct port_ethdev *p = (struct port_ethdev *)port;

	return rte_eth_tx_burst(p->ethdev, p->queue, bufs, n);
}

static void
ethdev_close(struct port *port)
{
	(void)port; /* the primary stops its ethdevs when it ends */
}

static const struct port_ops ethdev_ops = {
	.rx_burst = ethdev_rx,
	.tx_burst = ethdev_tx,
	.close = ethdev_close,
	.counts_bytes = true,
};

/* For a queue that exists in one direction only. */
static const struct port_ops rx_only_ops = {
	.rx_burst = ethdev_rx,
	.close = ethdev_close,
	.counts_bytes = true,
};

static const struct port_ops tx_only_ops = {
	.tx_burst = ethdev_tx,
	.close = ethdev_close,
	.counts_bytes = true,
};

static const struct port_ops *
ops_for(const struct shared_port *dev, uint16_t queue)
{
	if (queue >= dev->ntxq)
		return &rx_only_ops;
	return queue >= dev->nrxq ? &tx_only_ops : &ethdev_ops;
}

/* A tap with one queue becomes readable when a frame arrives. With several queues it is unknown
 * which fd belongs to which queue. Other devices have no event that a secondary can wait for.
 */
static int
event_of(const struct shared_port *dev)
{
	char name[IF_NAMESIZE];
	struct rte_eth_dev_info info;

	if (dev->type != PORT_TAP || rte_eth_dev_info_get(dev->ethdev, &info) < 0 ||
			dev->nrxq != 1 || if_indextoname(info.if_index, name) == NULL)
		return WAIT_POLL;
	return tun_fd_find("/proc/self/fdinfo", name);
}

static struct port *
ethdev_open(const struct shared_port *dev, struct port_id id, uint16_t queue)
{
	struct port_ethdev *p = port_alloc(sizeof(*p), id, ops_for(dev, queue));

	if (p == NULL)
		return NULL;
	p->queue = queue;
	p->ethdev = dev->ethdev;
	p->port.wait_fd = event_of(dev);
	return &p->port;
}

/* A net_null without options is served as nullpmd of this process: the driver frees mbufs one by
 * one, which took 95 % of the time from null to null (docs/dataplane.md, figures).
 */
struct port *
port_ethdev_open(const struct port_env *env, uint16_t index, uint16_t queue)
{
	struct shared *info = env->view->info;
	struct shared_port *dev = &info->port[index];
	struct port_id id = { (enum port_type_id)dev->type, dev->number, 0 };
	bool both = queue < dev->nrxq && queue < dev->ntxq;
	struct port *port;

	if (dev->nrxq > 1 || dev->ntxq > 1)
		id.nq = (uint16_t)(queue + 1);
	if (dev->type == PORT_LINK)
		port = port_link_open(dev, id);
	else if (dev->plain_null && both)
		port = port_null_open(env, id);
	else
		port = ethdev_open(dev, id, queue);
	if (port == NULL)
		return NULL;
	port->stats = &info->port_stats[index][queue];
	port->users = &dev->users[queue];
	port->fixed = true;
	return port;
}

static struct port_id
id_of(const struct shared_port *dev)
{
	return (struct port_id){ (enum port_type_id)dev->type, dev->number, 0 };
}

static struct port_stats
stats_of(const struct app *app, uint16_t i)
{
	struct port_stats all = shared_port_stats(app->view.info, i);

	return port_stats_since(&all, &app->port_base[i]);
}

static void
mac_text(uint16_t ethdev, char text[RTE_ETHER_ADDR_FMT_SIZE])
{
	struct rte_ether_addr mac;

	if (rte_eth_macaddr_get(ethdev, &mac) < 0)
		memset(&mac, 0, sizeof(mac));
	/* lower case, as in SPP */
	snprintf(text, RTE_ETHER_ADDR_FMT_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x",
			RTE_ETHER_ADDR_BYTES(&mac));
}

static void
put_ethdev(const struct app *app, struct json *w, uint16_t i)
{
	const struct shared_port *dev = &app->view.info->port[i];
	struct port_stats s = stats_of(app, i);
	char mac[RTE_ETHER_ADDR_FMT_SIZE], text[PORT_ID_STRLEN];

	port_id_format(id_of(dev), text);
	mac_text(dev->ethdev, mac);
	json_object(w, NULL);
	json_uint(w, "id", dev->ethdev);
	json_string(w, "eth", mac);
	json_uint(w, "rx", s.rx);
	json_uint(w, "tx", s.tx);
	json_uint(w, "tx_drop", s.tx_drop);
	json_object(w, "nof_queues");
	json_uint(w, "rx", dev->nrxq);
	json_uint(w, "tx", dev->ntxq);
	json_end(w);
	json_array(w, "flow");
	json_end(w);
	json_string(w, "port", text);
	json_end(w);
}

static void
put_status(const struct app *app, struct json *w)
{
	uint16_t i;

	json_array(w, "phy_ports");
	for (i = 0; i < app->view.info->nports; i++)
		put_ethdev(app, w, i);
	json_end(w);
}

static void
clear_stats(struct app *app)
{
	uint16_t i;

	for (i = 0; i < app->view.info->nports; i++)
		app->port_base[i] = shared_port_stats(app->view.info, i);
}

static void
print_stats(const struct app *app)
{
	struct port_stats s;
	uint16_t i;

	for (i = 0; i < app->view.info->nports; i++) {
		s = stats_of(app, i);
		port_stats_print(id_of(&app->view.info->port[i]), &s);
	}
}

/* The primary opens its ethdevs when it starts. `add phy:N` is refused. */
const struct port_type port_type_phy = {
	.put_status = put_status,
	.clear_stats = clear_stats,
	.print_stats = print_stats,
};
