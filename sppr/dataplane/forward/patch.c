/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "capture/captures.h"
#include "forward/claims.h"
#include "forward/patch.h"
#include "forward/worker.h"
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
	claims_release_unused(&app->ports);
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

/* Let the workers follow the patches of src as they are now, or restore the former ones. */
static int
apply_or_restore(struct app *app, struct port *src, struct port *patched_to,
		struct patch_rules *rules)
{
	int ret = claims_take_all(&app->ports);

	if (ret == 0)
		ret = workers_apply(&app->ports, app->running);
	if (ret < 0) {
		if (src->rules != rules)
			free(src->rules);
		src->patched_to = patched_to;
		src->rules = rules;
	} else if (src->rules != rules) {
		free(rules);
	}
	claims_release_unused(&app->ports);
	return ret;
}

static int
connect_rule(struct app *app, struct port *src, struct port *dst, const struct match *match)
{
	struct patch_rules *before = src->rules, *rules = copy_rules(src);
	struct patch_rule *rule;

	if (rules == NULL)
		return -1;
	src->rules = rules;
	rule = find_rule(src, match);
	if (rule == NULL)
		rule = &rules->rule[rules->n++];
	*rule = (struct patch_rule){ *match, dst };
	return apply_or_restore(app, src, src->patched_to, before);
}

int
patch_connect(struct app *app, struct port_id src_id, struct port_id dst_id,
		const struct match *match)
{
	struct port *src = find_port(app, src_id);
	struct port *dst = src != NULL ? find_port(app, dst_id) : NULL;
	struct port *before;

	if (src == NULL || dst == NULL || check_side(src, false) < 0 || check_side(dst, true) < 0)
		return -1;
	if (match != NULL)
		return connect_rule(app, src, dst, match);
	before = src->patched_to;
	src->patched_to = dst;
	return apply_or_restore(app, src, before, src->rules);
}

static int
disconnect_rule(struct app *app, struct port *src, const struct match *match)
{
	struct patch_rules *before = src->rules, *rules;
	struct patch_rule *rule = find_rule(src, match);
	size_t index;

	if (rule == NULL)
		return 0;
	index = (size_t)(rule - before->rule);
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
	return apply_or_restore(app, src, src->patched_to, before);
}

int
patch_disconnect(struct app *app, struct port_id id, enum patch_which which,
		const struct match *match)
{
	struct port *src = find_port(app, id);
	struct patch_rules *rules;
	struct port *before;

	if (src == NULL)
		return -1;
	if (which == PATCH_MATCH)
		return disconnect_rule(app, src, match);
	before = src->patched_to;
	rules = src->rules;
	src->patched_to = NULL;
	if (which == PATCH_ALL)
		src->rules = NULL;
	return apply_or_restore(app, src, before, rules);
}

int
patch_reset(struct app *app)
{
	struct port *patched_to[MAX_PORTS];
	struct patch_rules *rules[MAX_PORTS];
	unsigned int i;
	int ret;

	for (i = 0; i < app->ports.n; i++) {
		patched_to[i] = app->ports.port[i]->patched_to;
		rules[i] = app->ports.port[i]->rules;
		app->ports.port[i]->patched_to = NULL;
		app->ports.port[i]->rules = NULL;
	}
	ret = workers_apply(&app->ports, app->running);
	for (i = 0; i < app->ports.n; i++) {
		if (ret == 0) {
			free(rules[i]);
			continue;
		}
		app->ports.port[i]->patched_to = patched_to[i];
		app->ports.port[i]->rules = rules[i];
	}
	claims_release_unused(&app->ports);
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
	claims_release_unused(&app->ports);
	while (app->ports.n > 0)
		port_close(app->ports.port[--app->ports.n]);
}
