/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>

#include <rte_bus_vdev.h>
#include <rte_ethdev.h>

#include "ethdev_start.h"
#include "invoker.h"
#include "port.h"
#include "say.h"

/* memif:N, the serving side. Works where the ethdev is configured, and a secondary cannot have an
 * ethdev of its own: only on the primary's forwarder.
 */
struct port_memif {
	struct port port;
	struct shared_port dev;
};

static uint16_t
memif_rx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	return rte_eth_rx_burst(((struct port_memif *)port)->dev.ethdev, 0, bufs, n);
}

static uint16_t
memif_tx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	return rte_eth_tx_burst(((struct port_memif *)port)->dev.ethdev, 0, bufs, n);
}

static void
memif_close(struct port *port)
{
	struct port_memif *p = (struct port_memif *)port;

	rte_eth_dev_stop(p->dev.ethdev);
	rte_vdev_uninit(p->dev.name);
}

static const struct port_ops memif_ops = {
	.rx_burst = memif_rx,
	.tx_burst = memif_tx,
	.close = memif_close,
};

/* rte_vdev_init tells no other process, unlike hot plug: nothing of it can be wedged by a kill. */
static int
start_device(struct port_memif *p, const struct port_env *env)
{
	char args[160], socket[128];

	snprintf(p->dev.name, sizeof(p->dev.name), "net_memif%u", p->port.uid.number);
	snprintf(args, sizeof(args),
			"id=%u,role=server,socket=%s/spp-memif.sock,socket-abstract=no",
			p->port.uid.number, env->cfg->sock_dir);
	if (rte_vdev_init(p->dev.name, args) < 0 ||
			rte_eth_dev_get_port_by_name(p->dev.name, &p->dev.ethdev) < 0) {
		say("cannot make %s,%s", p->dev.name, args);
		return -1;
	}
	p->dev.nrxq = p->dev.ntxq = 1;
	if (ethdev_start(&p->dev, env->view->pool) < 0) {
		rte_vdev_uninit(p->dev.name);
		return -1;
	}
	snprintf(socket, sizeof(socket), "%s/spp-memif.sock", env->cfg->sock_dir);
	invoker_own_socket(socket);
	return 0;
}

struct port *
port_memif_open(const struct port_env *env, struct uid uid)
{
	struct port_memif *p;

	if (!env->cfg->primary) {
		say("memif:%u: only on the primary's forwarder", uid.number);
		return NULL;
	}
	p = port_alloc(sizeof(*p), uid, &memif_ops);
	if (p == NULL)
		return NULL;
	if (start_device(p, env) < 0) {
		free(p);
		return NULL;
	}
	return &p->port;
}
