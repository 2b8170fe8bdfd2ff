/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "base/log.h"
#include "forward/patch.h"
#include "guest/capture.h"

/* patch.h for the guest. It has one thread, so changes need no synchronization. */

/* A port receives only while a patch reads from it. */
static int
apply(struct app *app)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < app->ports.n; i++) {
		struct port *p = app->ports.port[i];
		bool wanted = app->running && p->patched_to != NULL;

		if (wanted == p->listening)
			continue;
		if (p->ops->listen(p, wanted) == 0)
			p->listening = wanted;
		else
			ret = -1;
	}
	return ret;
}

int
patch_add_port(struct app *app, struct port_id id)
{
	struct port *port;

	if (id.type != PORT_RING || id.nq != 0) {
		log_line("only ring:N can be added in a guest");
		return -1;
	}
	if (port_table_find(&app->ports, id) != NULL) {
		log_line("ring:%u already exists", id.number);
		return -1;
	}
	port = vport_ring_open(id.number);
	if (port == NULL)
		return -1;
	if (port_table_insert(&app->ports, port) < 0) {
		port->ops->close(port);
		free(port);
		return -1;
	}
	return 0;
}

int
patch_del_port(struct app *app, struct port_id id)
{
	struct port *port = port_table_find(&app->ports, id);

	if (port == NULL || port->fixed) {
		log_line(port == NULL ? "no such port" : "a NIC cannot be deleted");
		return -1;
	}
	port_table_unpatch(&app->ports, port);
	apply(app);
	port_table_remove(&app->ports, port);
	guest_capture_forget(port);
	port->ops->close(port);
	free(port);
	return 0;
}

int
patch_connect(struct app *app, struct port_id src_id, struct port_id dst_id,
		const struct match *match)
{
	struct port *src = port_table_find(&app->ports, src_id);
	struct port *dst = port_table_find(&app->ports, dst_id);
	struct port *before;

	if (match != NULL) {
		log_line("patches in a guest have no match");
		return -1;
	}
	if (src == NULL || dst == NULL) {
		log_line("no such port");
		return -1;
	}
	before = src->patched_to;
	src->patched_to = dst;
	if (apply(app) < 0) {
		src->patched_to = before;
		return -1;
	}
	return 0;
}

int
patch_disconnect(struct app *app, struct port_id id, enum patch_which which,
		const struct match *match)
{
	struct port *src = port_table_find(&app->ports, id);

	(void)match;
	if (which == PATCH_MATCH)
		return 0;
	if (src == NULL) {
		log_line("no such port");
		return -1;
	}
	src->patched_to = NULL;
	return apply(app);
}

int
patch_reset(struct app *app)
{
	unsigned int i;

	for (i = 0; i < app->ports.n; i++)
		app->ports.port[i]->patched_to = NULL;
	return apply(app);
}

int
patch_run(struct app *app, bool running)
{
	bool before = app->running;

	app->running = running;
	if (apply(app) == 0)
		return 0;
	app->running = before;
	apply(app);
	return -1;
}

void
patch_close_all(struct app *app)
{
	struct port *port;

	while (app->ports.n > 0) {
		port = app->ports.port[--app->ports.n];
		port->ops->close(port);
		free(port);
	}
}

static unsigned int
forward_burst(struct port *src)
{
	static struct frame frames[VPORT_BURST];
	struct port *dst = src->patched_to;
	unsigned int received = src->ops->rx(src, frames, VPORT_BURST), sent, i;

	if (received == 0)
		return 0;
	if (guest_capture_active)
		guest_capture_frames(src, false, frames, received);
	src->rx += received;
	for (i = 0; i < received; i++)
		src->rx_bytes += frames[i].len;
	sent = dst->ops->tx(dst, frames, received);
	if (guest_capture_active)
		guest_capture_frames(dst, true, frames, sent);
	dst->tx += sent;
	for (i = 0; i < sent; i++)
		dst->tx_bytes += frames[i].len;
	dst->tx_drop += received - sent;
	return received;
}

unsigned int
guest_forward(struct app *app)
{
	unsigned int i, moved = 0;

	for (i = 0; i < app->ports.n; i++) {
		struct port *p = app->ports.port[i];

		if (p->listening && (p->ready || p->wait_fd < 0))
			moved += forward_burst(p);
	}
	return moved;
}

bool
guest_polls(const struct app *app)
{
	unsigned int i;

	for (i = 0; i < app->ports.n; i++)
		if (app->ports.port[i]->listening && app->ports.port[i]->wait_fd < 0)
			return true;
	return false;
}
