/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>

#include <rte_lcore.h>

#include "control/status.h"
#include "impair/impairment.h"
#include "port/registry.h"

static void
put_lcores(struct json *w)
{
	unsigned int lcore;

	json_uint(w, "master-lcore", rte_get_main_lcore());
	json_array(w, "lcores");
	RTE_LCORE_FOREACH(lcore) {
		json_uint(w, NULL, lcore);
	}
	json_end(w);
}

static const char *
state(const struct app *app)
{
	return app->running ? "running" : "idling";
}

static void
put_counters(struct json *w, const struct port *port)
{
	char text[PORT_ID_STRLEN];

	port_id_format_status(port->id, text);
	status_open_counters(w, text, port->stats->rx, port->stats->rx_drop, port->stats->tx,
			port->stats->tx_drop);
	if (port->ops->counts_bytes) {
		json_uint(w, "rx_bytes", port->stats->rx_bytes);
		json_uint(w, "tx_bytes", port->stats->tx_bytes);
	}
	if (port->ops->link != NULL)
		json_string(w, "link", port->ops->link(port) ? "up" : "down");
	json_end(w);
}

void
status_put_counters(struct json *w, const struct port_table *ports)
{
	unsigned int i;

	json_array(w, "counters");
	for (i = 0; i < ports->n; i++)
		put_counters(w, ports->port[i]);
	json_end(w);
}

static void
put_impairment(struct json *w, const struct impairment *impairment)
{
	const struct impairment_counters *c = impairment_counters(impairment);
	char words[IMPAIR_STRLEN];

	impair_format(impairment_parameters(impairment), words);
	json_string(w, "impair", words);
	json_object(w, "impaired");
	json_uint(w, "offered", c->offered);
	json_uint(w, "lost", c->lost);
	json_uint(w, "duplicated", c->duplicated);
	json_uint(w, "reordered", c->reordered);
	json_uint(w, "corrupted", c->corrupted);
	json_uint(w, "overflow", c->overflow);
	json_uint(w, "no_memory", c->no_memory);
	json_uint(w, "held", c->held);
	json_uint(w, "sent", c->sent);
	json_end(w);
}

static void
put_patch(struct json *w, const struct port *src, const struct port *dst, const struct match *match,
		const struct impairment *impairment)
{
	char text[PORT_ID_STRLEN], words[MATCH_STRLEN];

	json_object(w, NULL);
	port_id_format_status(src->id, text);
	json_string(w, "src", text);
	port_id_format_status(dst->id, text);
	json_string(w, "dst", text);
	if (match != NULL) {
		match_format(match, words);
		json_string(w, "match", words);
	}
	if (impairment != NULL)
		put_impairment(w, impairment);
	json_end(w);
}

static void
put_patches_from(struct json *w, const struct port *src)
{
	const struct patch_rule *rule;
	unsigned int i;

	if (src->patched_to != NULL)
		put_patch(w, src, src->patched_to, NULL, src->impairment);
	for (i = 0; src->rules != NULL && i < src->rules->n; i++) {
		rule = &src->rules->rule[i];
		put_patch(w, src, rule->dst, &rule->match, rule->impairment);
	}
}

static void
put_patches(const struct app *app, struct json *w)
{
	const struct port_table *t = &app->ports;
	char text[PORT_ID_STRLEN];
	unsigned int i;

	status_put_counters(w, t); /* not in SPP: docs/dataplane.md */
	json_array(w, "ports");
	for (i = 0; i < t->n; i++) {
		port_id_format_status(t->port[i]->id, text);
		json_string(w, NULL, text);
	}
	json_end(w);
	json_array(w, "patches");
	for (i = 0; i < t->n; i++)
		put_patches_from(w, t->port[i]);
	json_end(w);
}

void
status_nfv(const struct app *app, char *reply, size_t size)
{
	struct json w;

	json_start(&w, reply, size);
	json_uint(&w, "client-id", app->cfg.client_id);
	json_string(&w, "status", state(app));
	put_lcores(&w);
	put_patches(app, &w);
	json_finish(&w);
}

void
status_primary(const struct app *app, char *reply, size_t size)
{
	struct json w;

	json_start(&w, reply, size);
	json_string(&w, "data_plane", "sppr"); /* the differences from SPP: docs/dataplane.md */
	put_lcores(&w);
	if (app->has_forwarder) {
		json_object(&w, "forwarder");
		json_string(&w, "status", state(app));
		put_patches(app, &w);
		json_end(&w);
	}
	port_registry_put_status(app, &w);
	json_finish(&w);
}

void
status_clear(struct app *app)
{
	port_registry_clear_stats(app);
}

void
status_print(const struct app *app)
{
	port_registry_print_stats(app);
	printf("\n");
	fflush(stdout);
}
