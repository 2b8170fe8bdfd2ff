/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/log.h"
#include "forward/patch.h"
#include "forward/worker.h"

static bool
is_destination(const struct app *app, const struct port *port)
{
	unsigned int i;

	for (i = 0; i < app->ports.n; i++)
		if (app->ports.port[i]->patched_to == port)
			return true;
	return false;
}

/* A pipe has this side of a ring for a process that is not ours. */
static bool
pipe_has(const struct app *app, const struct port *port, bool tx)
{
	unsigned int i;

	for (i = 0; port->uid.type == PORT_RING && i < app->npipes; i++)
		if (port->uid.number == (tx ? app->pipe[i].tx : app->pipe[i].rx))
			return true;
	return false;
}

/* Give up in the shared memory what no patch uses any more. */
static void
release_unused(struct app *app)
{
	unsigned int i;

	for (i = 0; i < app->ports.n; i++) {
		struct port *p = app->ports.port[i];

		if (p->users == NULL)
			continue;
		if (p->patched_to == NULL && !pipe_has(app, p, false))
			shared_release(&p->users->rx);
		if (!is_destination(app, p) && !pipe_has(app, p, true))
			shared_release(&p->users->tx);
	}
}

static int
hold_side(const struct app *app, struct port *port, bool tx)
{
	char text[UID_STRLEN];
	bool inherited;
	pid_t other;

	if (port->users == NULL)
		return 0;
	if (pipe_has(app, port, tx)) {
		say("ring:%u: a pipe has that side", port->uid.number);
		return -1;
	}
	other = shared_hold(tx ? &port->users->tx : &port->users->rx, &inherited);
	if (other != 0) {
		uid_format(port->uid, text);
		say("%s: process %d is patched %s it already; one at a time", text, other,
				tx ? "to" : "from");
		return -1;
	}
	if (inherited && port->ops->inherit != NULL)
		port->ops->inherit(port, tx);
	return 0;
}

static struct port *
find_or_say(const struct app *app, struct uid uid)
{
	struct port *port = port_find(&app->ports, uid);
	char text[UID_STRLEN];

	uid_format(uid, text);
	if (port == NULL)
		say("%s: no such port here", text);
	return port;
}

/* A queue number may be there in one direction only. */
static int
check_side(const struct port *port, bool tx)
{
	char text[UID_STRLEN];

	if (tx ? port->ops->tx_burst != NULL : port->ops->rx_burst != NULL)
		return 0;
	uid_format(port->uid, text);
	say("%s has no %s queue", text, tx ? "tx" : "rx");
	return -1;
}

int
patch_add_port(struct app *app, struct uid uid)
{
	char text[UID_STRLEN];
	struct port *port;

	if (port_find(&app->ports, uid) != NULL) {
		uid_format(uid, text);
		say("%s is there already", text);
		return -1;
	}
	port = port_open(&app->env, uid);
	if (port == NULL)
		return -1;
	if (port_insert(&app->ports, port) < 0) {
		port_close(port);
		return -1;
	}
	return 0;
}

int
patch_del_port(struct app *app, struct uid uid)
{
	struct port *port = find_or_say(app, uid);

	if (port == NULL)
		return -1;
	if (port->fixed) {
		say("the primary's own ports stay");
		return -1;
	}
	port_unpatch(&app->ports, port);
	if (forward_apply(&app->ports, app->running) < 0) {
		/* no memory for new tables; stopping needs none, and the port must go */
		say("stopped forwarding");
		patch_run(app, false);
	}
	release_unused(app);
	port_remove(&app->ports, port);
	port_close(port);
	return 0;
}

int
patch_connect(struct app *app, struct uid src_uid, struct uid dst_uid)
{
	struct port *src = find_or_say(app, src_uid);
	struct port *dst = src != NULL ? find_or_say(app, dst_uid) : NULL;
	struct port *before;

	if (src == NULL || dst == NULL || check_side(src, false) < 0 || check_side(dst, true) < 0)
		return -1;
	if (hold_side(app, src, false) < 0 || hold_side(app, dst, true) < 0) {
		release_unused(app);
		return -1;
	}
	before = src->patched_to;
	src->patched_to = dst;
	if (forward_apply(&app->ports, app->running) < 0) {
		src->patched_to = before;
		release_unused(app);
		return -1;
	}
	release_unused(app);
	return 0;
}

int
patch_disconnect(struct app *app, struct uid uid)
{
	struct port *src = find_or_say(app, uid);
	struct port *before;

	if (src == NULL)
		return -1;
	before = src->patched_to;
	src->patched_to = NULL;
	if (forward_apply(&app->ports, app->running) < 0) {
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
	ret = forward_apply(&app->ports, app->running);
	for (i = 0; ret < 0 && i < app->ports.n; i++)
		app->ports.port[i]->patched_to = before[i];
	release_unused(app);
	return ret;
}

int
patch_run(struct app *app, bool running)
{
	if (forward_apply(&app->ports, running) < 0)
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
