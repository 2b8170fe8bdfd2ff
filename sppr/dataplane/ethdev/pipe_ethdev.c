/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>

#include <rte_bus_vdev.h>
#include <rte_errno.h>
#include <rte_eth_ring.h>

#include "base/log.h"
#include "ethdev/ethdev_start.h"
#include "ethdev/pipe_ethdev.h"

int
pipe_ethdev_create(const struct shared_view *view, uint16_t number, uint16_t rx, uint16_t tx)
{
	struct shared_port port = { .nrxq = 1, .ntxq = 1 };
	char vdev[32];
	int id;

	snprintf(vdev, sizeof(vdev), "spp_pipe%u", number);
	id = rte_eth_from_rings(vdev, &view->ring[rx], 1, &view->ring[tx], 1, rte_socket_id());
	snprintf(port.name, sizeof(port.name), "net_ring_%s", vdev);
	port.ethdev = (uint16_t)id;
	if (id < 0 || ethdev_start(&port, view->pool) < 0) {
		log_line("cannot make %s: %s", port.name, rte_strerror(rte_errno));
		return -1;
	}
	return id;
}

void
pipe_ethdev_remove(uint16_t number, uint16_t ethdev)
{
	char vdev[32];

	snprintf(vdev, sizeof(vdev), "net_ring_spp_pipe%u", number);
	rte_eth_dev_stop(ethdev);
	rte_vdev_uninit(vdev);
}
