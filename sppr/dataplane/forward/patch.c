/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "capture/captures.h"
#include "forward/claims.h"
#include "forward/patch.h"
#include "forward/worker.h"
#include "impair/impairment.h"
#include "port/registry.h"

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

static void
release_unused(const struct app *app)
{
	claims_release_unused(&app->ports);
	impairments_release_unused(&app->ports);
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
	captures_end_of_port(port);
	release_unused(app);
	port_table_remove(&app->ports, port);
	port_close(port);
	return 0;
}

static struct patch_rule *
find_rule(const struct port *src, const struct match *match)
{
	unsigned int i;

	for (i = 0; src->rules != NULL && i < src->rules->n; i++)
		if (match_equal(&src->rules->rule[i].match, match))
			return &src->rules->rule[i];
	return NULL;
}

/* Return a copy of the rules of a source with room for one more, or NULL without memory. */
static struct patch_rules *
copy_rules(const struct port *src)
{
	unsigned int n = src->rules != NULL ? src->rules->n : 0;
	struct patch_rules *copy = malloc(sizeof(*copy) + (n + 1) * sizeof(copy->rule[0]));

	if (copy == NULL) {
		log_line("no memory for a patch");
		return NULL;
	}
	copy->n = n;
	if (n > 0)
		memcpy(copy->rule, src->rules->rule, n * sizeof(copy->rule[0]));
	return copy;
}

/* The patches from a port. */
struct patches {
	struct port *patched_to;
	struct impairment *impairment;
	struct patch_rules *rules;
};

static struct patches
get_patches(const struct port *src)
{
	return (struct patches){ src->patched_to, src->impairment, src->rules };
}

static void
set_patches(struct port *src, struct patches patches)
{
	src->patched_to = patches.patched_to;
	src->impairment = patches.impairment;
	src->rules = patches.rules;
}

/* Let the workers follow the patches of src as they are now, or restore the former ones. */
static int
apply_or_restore(struct app *app, struct port *src, struct patches before)
{
	struct patch_rules *unused = src->rules != before.rules ? before.rules : NULL;
	int ret = claims_take_all(&app->ports);

	if (ret == 0)
		ret = workers_apply(&app->ports, app->running);
	if (ret < 0) {
		unused = src->rules != before.rules ? src->rules : NULL;
		set_patches(src, before);
	}
	free(unused);
	release_unused(app);
	return ret;
}

static int
connect_rule(struct app *app, struct port *src, struct port *dst, const struct match *match)
{
	struct patches before = get_patches(src);
	struct patch_rules *rules = copy_rules(src);
	struct impairment *impairment = NULL;
	struct patch_rule *rule;

	if (rules == NULL)
		return -1;
	src->rules = rules;
	rule = find_rule(src, match);
	if (rule == NULL)
		rule = &rules->rule[rules->n++];
	else if (rule->dst == dst)
		impairment = rule->impairment;
	*rule = (struct patch_rule){ *match, dst, impairment };
	return apply_or_restore(app, src, before);
}

int
patch_connect(struct app *app, struct port_id src_id, struct port_id dst_id,
		const struct match *match)
{
	struct port *src = find_port(app, src_id);
	struct port *dst = src != NULL ? find_port(app, dst_id) : NULL;
	struct patches before;

	if (src == NULL || dst == NULL || check_side(src, false) < 0 || check_side(dst, true) < 0)
		return -1;
	if (match != NULL)
		return connect_rule(app, src, dst, match);
	before = get_patches(src);
	if (src->patched_to != dst)
		src->impairment = NULL; /* a property of the patch that is replaced */
	src->patched_to = dst;
	return apply_or_restore(app, src, before);
}

static int
disconnect_rule(struct app *app, struct port *src, const struct match *match)
{
	struct patches before = get_patches(src);
	struct patch_rules *rules;
	struct patch_rule *rule = find_rule(src, match);
	size_t index;

	if (rule == NULL)
		return 0;
	index = (size_t)(rule - before.rules->rule);
	rules = copy_rules(src);
	if (rules == NULL)
		return -1;
	rules->n--;
	memmove(&rules->rule[index], &rules->rule[index + 1],
			(rules->n - index) * sizeof(rules->rule[0]));
	if (rules->n == 0) {
		free(rules);
		rules = NULL;
	}
	src->rules = rules;
	return apply_or_restore(app, src, before);
}

int
patch_disconnect(struct app *app, struct port_id id, enum patch_which which,
		const struct match *match)
{
	struct port *src = find_port(app, id);
	struct patches before;

	if (src == NULL)
		return -1;
	if (which == PATCH_MATCH)
		return disconnect_rule(app, src, match);
	before = get_patches(src);
	src->patched_to = NULL;
	src->impairment = NULL;
	if (which == PATCH_ALL)
		src->rules = NULL;
	return apply_or_restore(app, src, before);
}

int
patch_reset(struct app *app)
{
	const struct patches none = { NULL, NULL, NULL };
	struct patches before[MAX_PORTS];
	unsigned int i;
	int ret;

	for (i = 0; i < app->ports.n; i++) {
		before[i] = get_patches(app->ports.port[i]);
		set_patches(app->ports.port[i], none);
	}
	ret = workers_apply(&app->ports, app->running);
	for (i = 0; i < app->ports.n; i++) {
		if (ret == 0)
			free(before[i].rules);
		else
			set_patches(app->ports.port[i], before[i]);
	}
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
		port_table_unpatch(&app->ports, app->ports.port[i]);
	release_unused(app);
	while (app->ports.n > 0)
		port_close(app->ports.port[--app->ports.n]);
}
