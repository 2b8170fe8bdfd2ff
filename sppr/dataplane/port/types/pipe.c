/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include <rte_bus_vdev.h>
#include <rte_errno.h>
#include <rte_eth_ring.h>

#include "base/log.h"
#include "ethdev/ethdev_start.h"
#include "port/types/pipe.h"
#include "shm/owner.h"

#define PREFIX "pipe:"

bool
pipe_is(const char *text)
{
	return strncmp(text, PREFIX, strlen(PREFIX)) == 0;
}

/* Numbered as every port is; pipe is no port of a patch, so not in port_id.c. */
static bool
parse(const char *text, uint16_t *number)
{
	char as_ring[PORT_ID_STRLEN];
	struct port_id id;

	if (!pipe_is(text) || strlen(text) >= sizeof(as_ring))
		return false;
	snprintf(as_ring, sizeof(as_ring), "ring:%s", text + strlen(PREFIX));
	if (port_id_parse(as_ring, &id) < 0)
		return false;
	*number = id.number;
	return true;
}

static int
find(const struct app *app, uint16_t number)
{
	unsigned int i;

	for (i = 0; i < app->npipes; i++)
		if (app->pipe[i].number == number)
			return (int)i;
	return -1;
}

static bool
ring_word(const struct app *app, const char *text, uint16_t *ring)
{
	struct port_id id;

	if (port_id_parse(text, &id) < 0 || id.type != PORT_RING ||
			id.number >= app->view.info->nrings) {
		log_line("\"%.40s\" is not a ring of this primary", text);
		return false;
	}
	*ring = id.number;
	return true;
}

static void
release_sides(struct app *app, const struct pipe *p)
{
	struct shared *info = app->view.info;

	info->ring_sleeper[p->tx].foreign = 0;
	owner_release(&info->ring_users[p->rx].rx);
	owner_release(&info->ring_users[p->tx].tx);
}

/* The far end's sides of both rings: no patch may have them as well. */
static bool
hold(struct app *app, const struct pipe *p)
{
	struct shared *info = app->view.info;
	bool stale;
	unsigned int i;

	for (i = 0; i < app->npipes; i++)
		if (app->pipe[i].rx == p->rx || app->pipe[i].tx == p->tx) {
			log_line("pipe:%u has that ring already", app->pipe[i].number);
			return false;
		}
	for (i = 0; i < app->ports.n; i++) {
		const struct port *port = app->ports.port[i];

		if (port->patched_to == NULL)
			continue;
		if ((port->id.type == PORT_RING && port->id.number == p->rx) ||
				(port->patched_to->id.type == PORT_RING &&
						port->patched_to->id.number == p->tx)) {
			log_line("the ring is patched here already");
			return false;
		}
	}
	if (owner_claim(&info->ring_users[p->rx].rx, &stale) != 0 ||
			owner_claim(&info->ring_users[p->tx].tx, &stale) != 0) {
		log_line("a process is patched to the far end's side of the ring already");
		release_sides(app, p);
		return false;
	}
	info->ring_sleeper[p->tx].foreign = 1;
	return true;
}

bool
pipe_add(struct app *app, const char *name, const char *rx, const char *tx)
{
	struct pipe *p = &app->pipe[app->npipes];
	struct shared_port port = { .nrxq = 1, .ntxq = 1 };
	char vdev[32];
	int id;

	if (!parse(name, &p->number) || find(app, p->number) >= 0 || app->npipes == MAX_PIPES) {
		log_line("\"%.40s\": not a new pipe, or one too many", name);
		return false;
	}
	if (!ring_word(app, rx, &p->rx) || !ring_word(app, tx, &p->tx) || !hold(app, p))
		return false;
	snprintf(vdev, sizeof(vdev), "spp_pipe%u", p->number);
	id = rte_eth_from_rings(vdev, &app->view.ring[p->rx], 1, &app->view.ring[p->tx], 1,
			rte_socket_id());
	snprintf(port.name, sizeof(port.name), "net_ring_%s", vdev);
	port.ethdev = (uint16_t)id;
	if (id < 0 || ethdev_start(&port, app->view.pool) < 0) {
		log_line("cannot make %s: %s", port.name, rte_strerror(rte_errno));
		release_sides(app, p);
		return false;
	}
	p->ethdev = port.ethdev;
	app->npipes++;
	return true;
}

bool
pipe_del(struct app *app, const char *name)
{
	struct pipe *p;
	uint16_t number;
	char vdev[32];
	int at;

	if (!parse(name, &number) || (at = find(app, number)) < 0) {
		log_line("\"%.40s\": no such pipe", name);
		return false;
	}
	p = &app->pipe[at];
	snprintf(vdev, sizeof(vdev), "net_ring_spp_pipe%u", number);
	rte_eth_dev_stop(p->ethdev);
	rte_vdev_uninit(vdev);
	release_sides(app, p);
	*p = app->pipe[--app->npipes];
	return true;
}

void
pipe_del_all(struct app *app)
{
	char name[16];

	while (app->npipes > 0) {
		snprintf(name, sizeof(name), PREFIX "%u", app->pipe[0].number);
		if (!pipe_del(app, name))
			return;
	}
}
