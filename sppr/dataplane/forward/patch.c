/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/log.h"
#include "forward/patch.h"
#include "forward/worker.h"
#include "port/registry.h"
#include "shm/owner.h"

static bool
is_destination(const struct app *app, const struct port *port)
{
	unsigned int i;

	for (i = 0; i < app->ports.n; i++)
		if (app->ports.port[i]->patched_to == port)
			return true;
	return false;
}

static const char *
reserved(const struct port *port, bool tx)
{
	return port->ops->reserved != NULL ? port->ops->reserved(port, tx) : NULL;
}

/* Release the sides in shared memory that no patch uses. */
static void
release_unused(struct app *app)
{
	unsigned int i;

	for (i = 0; i < app->ports.n; i++) {
		struct port *p = app->ports.port[i];

		if (p->users == NULL)
			continue;
		if (p->patched_to == NULL && reserved(p, false) == NULL)
			owner_release(&p->users->rx);
		if (!is_destination(app, p) && reserved(p, true) == NULL)
			owner_release(&p->users->tx);
	}
}

static int
claim_side(struct port *port, bool tx)
{
	const char *why = reserved(port, tx);
	char text[PORT_ID_STRLEN];
	bool stale;
	pid_t other;

	if (port->users == NULL)
		return 0;
	port_id_format(port->id, text);
	if (why != NULL) {
		log_line("%s: %s", text, why);
		return -1;
	}
	other = owner_claim(tx ? &port->users->tx : &port->users->rx, &stale);
	if (other < 0)
		return -1;
	if (other > 0) {
		log_line("%s: process %d already has a patch %s it; only one is allowed", text,
				other, tx ? "to" : "from");
		return -1;
	}
	if (stale && port->ops->recover != NULL)
		port->ops->recover(port, tx);
	return 0;
}

static struct port *
find_port(const struct app *app, struct port_id id)
{
	struct port *port = port_table_find(&app->ports, id);
	char text[PORT_ID_STRLEN];

	port_id_format(id, text);
	if (port == NULL)
		log_line("%s: no such port in this process", text);
	return port;
}

/* A queue may exist in one direction only. */
static int
check_side(const struct port *port, bool tx)
{
	char text[PORT_ID_STRLEN];

	if (tx ? port->ops->tx_burst != NULL : port->ops->rx_burst != NULL)
		return 0;
	port_id_format(port->id, text);
	log_line("%s has no %s queue", text, tx ? "tx" : "rx");
	return -1;
}

int
patch_add_port(struct app *app, struct port_id id)
{
	char text[PORT_ID_STRLEN];
	struct port *port;

	if (port_table_find(&app->ports, id) != NULL) {
		port_id_format(id, text);
		log_line("%s already exists", text);
		return -1;
	}
	port = port_registry_open(&app->env, id);
	if (port == NULL)
		return -1;
	if (port_table_insert(&app->ports, port) < 0) {
		port_close(port);
		return -1;
	}
	return 0;
}

int
patch_del_port(struct app *app, struct port_id id)
{
	struct port *port = find_port(app, id);

	if (port == NULL)
		return -1;
	if (port->fixed) {
		log_line("ports of the primary cannot be deleted");
		return -1;
	}
	port_table_unpatch(&app->ports, port);
	if (workers_apply(&app->ports, app->running) < 0) {
		/* no memory for new tables; stopping needs none, and the port must be removed */
		log_line("stopped forwarding");
		patch_run(app, false);
	}
	release_unused(app);
	port_table_remove(&app->ports, port);
	port_close(port);
	return 0;
}

int
patch_connect(struct app *app, struct port_id src_id, struct port_id dst_id)
{
	struct port *src = find_port(app, src_id);
	struct port *dst = src != NULL ? find_port(app, dst_id) : NULL;
	struct port *before;

	if (src == NULL || dst == NULL || check_side(src, false) < 0 || check_side(dst, true) < 0)
		return -1;
	if (claim_side(src, false) < 0 || claim_side(dst, true) < 0) {
		release_unused(app);
		return -1;
	}
	before = src->patched_to;
	src->patched_to = dst;
	if (workers_apply(&app->ports, app->running) < 0) {
		src->patched_to = before;
		release_unused(app);
		return -1;
	}
	release_unused(app);
	return 0;
}

int
patch_disconnect(struct app *app, struct port_id id)
{
	struct port *src = find_port(app, id);
	struct port *before;

	if (src == NULL)
		return -1;
	before = src->patched_to;
	src->patched_to = NULL;
	if (workers_apply(&app->ports, app->running) < 0) {
		src->patched_to = before;
		return -1;
	}
	release_unused(app);
	return 0;
}

int
patch_reset(struct app *app)
{
	struct port *before[MAX_PORTS];
	unsigned int i;
	int ret;

	for (i = 0; i < app->ports.n; i++) {
		before[i] = app->ports.port[i]->patched_to;
		app->ports.port[i]->patched_to = NULL;
	}
	ret = workers_apply(&app->ports, app->running);
	for (i = 0; ret < 0 && i < app->ports.n; i++)
		app->ports.port[i]->patched_to = before[i];
	release_unused(app);
	return ret;
}

int
patch_run(struct app *app, bool running)
{
	if (workers_apply(&app->ports, running) < 0)
		return -1;
	app->running = running;
	return 0;
}

void
patch_close_all(struct app *app)
{
	unsigned int i;

	for (i = 0; i < app->ports.n; i++)
		app->ports.port[i]->patched_to = NULL;
	release_unused(app);
	while (app->ports.n > 0)
		port_close(app->ports.port[--app->ports.n]);
}
