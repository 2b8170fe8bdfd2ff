/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "app.h"
#include "base/log.h"
#include "control/json.h"
#include "control/request.h"
#include "ethdev/pipe_ethdev.h"
#include "port/port_type.h"
#include "shm/owner.h"

#define PREFIX "pipe:"
#define MAX_PIPES 16

struct pipe {
	uint16_t number;
	uint16_t rx; /* the ring that the foreign process reads */
	uint16_t tx; /* the ring that the foreign process fills */
	uint16_t ethdev;
};

static struct pipe pipes[MAX_PIPES];
static unsigned int npipes;

static bool
parse(const char *text, uint16_t *number)
{
	return strncmp(text, PREFIX, strlen(PREFIX)) == 0 &&
	       port_id_parse_number(text + strlen(PREFIX), number) == 0;
}

static int
find(uint16_t number)
{
	unsigned int i;

	for (i = 0; i < npipes; i++)
		if (pipes[i].number == number)
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

	app->view.ring_reserved[p->rx].rx = false;
	app->view.ring_reserved[p->tx].tx = false;
	info->ring_sleeper[p->tx].foreign = 0;
	owner_release(&info->ring_users[p->rx].rx);
	owner_release(&info->ring_users[p->tx].tx);
}

/* Return whether a patch from this port uses a side of the pipe's rings. */
static bool
uses(const struct port *src, const struct pipe *p)
{
	const struct port *dst;
	unsigned int i;

	for (i = 0; (dst = port_destination(src, i)) != NULL; i++)
		if ((src->id.type == PORT_RING && src->id.number == p->rx) ||
				(dst->id.type == PORT_RING && dst->id.number == p->tx))
			return true;
	return false;
}

/* Claim the sides of both rings for the foreign process, so that no patch can use them. */
static bool
claim_sides(struct app *app, const struct pipe *p)
{
	struct shared *info = app->view.info;
	bool stale;
	unsigned int i;

	for (i = 0; i < npipes; i++)
		if (pipes[i].rx == p->rx || pipes[i].tx == p->tx) {
			log_line("pipe:%u uses that ring", pipes[i].number);
			return false;
		}
	for (i = 0; i < app->ports.n; i++)
		if (uses(app->ports.port[i], p)) {
			log_line("a patch of this process uses the ring");
			return false;
		}
	if (owner_claim(&info->ring_users[p->rx].rx, &stale) != 0 ||
			owner_claim(&info->ring_users[p->tx].tx, &stale) != 0) {
		log_line("another process uses that side of a ring");
		release_sides(app, p);
		return false;
	}
	app->view.ring_reserved[p->rx].rx = true;
	app->view.ring_reserved[p->tx].tx = true;
	info->ring_sleeper[p->tx].foreign = 1;
	return true;
}

static bool
pipe_add(struct app *app, const char *name, const char *rx, const char *tx)
{
	struct pipe p;
	int ethdev;

	if (!parse(name, &p.number) || find(p.number) >= 0 || npipes == MAX_PIPES) {
		log_line("\"%.40s\": not a new pipe, or too many pipes", name);
		return false;
	}
	if (!ring_word(app, rx, &p.rx) || !ring_word(app, tx, &p.tx) || !claim_sides(app, &p))
		return false;
	ethdev = pipe_ethdev_create(&app->view, p.number, p.rx, p.tx);
	if (ethdev < 0) {
		release_sides(app, &p);
		return false;
	}
	p.ethdev = (uint16_t)ethdev;
	pipes[npipes++] = p;
	return true;
}

static void
remove_at(struct app *app, unsigned int i)
{
	struct pipe *p = &pipes[i];

	pipe_ethdev_remove(p->number, p->ethdev);
	release_sides(app, p);
	*p = pipes[--npipes];
}

static bool
pipe_del(struct app *app, const char *name)
{
	uint16_t number;
	int at;

	if (!parse(name, &number) || (at = find(number)) < 0) {
		log_line("\"%.40s\": no such pipe", name);
		return false;
	}
	remove_at(app, (unsigned int)at);
	return true;
}

static void
close_all(struct app *app)
{
	while (npipes > 0)
		remove_at(app, 0);
}

static void
do_add(struct request *r)
{
	bool ok = request_has_words(r, 4) &&
		  pipe_add(r->app, request_word(r, 1), request_word(r, 2), request_word(r, 3));

	request_reply(r, ok, "port", request_word(r, 1));
}

static void
do_del(struct request *r)
{
	bool ok = request_has_words(r, 2) && pipe_del(r->app, request_word(r, 1));

	request_reply(r, ok, "port", request_word(r, 1));
}

static void
put_status(const struct app *app, struct json *w)
{
	unsigned int i;

	(void)app;
	json_array(w, "pipes");
	for (i = 0; i < npipes; i++) {
		json_object(w, NULL);
		json_uint(w, "id", pipes[i].number);
		json_uint(w, "rx", pipes[i].rx);
		json_uint(w, "tx", pipes[i].tx);
		json_end(w);
	}
	json_end(w);
}

static const struct command commands[] = {
	{ .name = "add", .processes = COMMAND_PRIMARY, .run = do_add, .port_prefix = PREFIX },
	{ .name = "del", .processes = COMMAND_PRIMARY, .run = do_del, .port_prefix = PREFIX },
	{ .name = NULL },
};

/* pipe:N connects two rings of the primary to a process that is not ours. It cannot be patched. The
 * foreign process does not wake our workers, so a worker polls the ring that it fills.
 */
const struct port_type port_type_pipe = {
	.commands = commands,
	.put_status = put_status,
	.close_all = close_all,
};
