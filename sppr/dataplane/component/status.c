/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include <rte_lcore.h>

#include "component/component.h"
#include "component/status.h"
#include "control/results.h"
#include "control/status.h"

/* List the ports of a type by number, as text: "0", or "0 nq 2" for a queue. */
static void
put_ports(struct json *w, const struct port_table *ports, enum port_type_id type, const char *name)
{
	char text[PORT_ID_STRLEN];
	unsigned int i;

	json_array(w, name);
	for (i = 0; i < ports->n; i++) {
		if (ports->port[i]->id.type != type)
			continue;
		port_id_format_status(ports->port[i]->id, text);
		json_string(w, NULL, strchr(text, ':') + 1);
	}
	json_end(w);
}

static bool
has_type(const struct port_table *ports, enum port_type_id type)
{
	unsigned int i;

	for (i = 0; i < ports->n; i++)
		if (ports->port[i]->id.type == type)
			return true;
	return false;
}

/* SPP has phy, vhost and ring. The other types are listed only if the process has such ports. */
static void
put_all_ports(struct json *w, const struct port_table *ports)
{
#define PORT_TYPE_NAME(constant, object, name, form) [constant] = (name),
	static const char *const names[N_PORT_TYPES] = { PORT_TYPES(PORT_TYPE_NAME) };
#undef PORT_TYPE_NAME
	static const enum port_type_id always[] = { PORT_PHY, PORT_VHOST, PORT_RING };
	unsigned int i;

	for (i = 0; i < RTE_DIM(always); i++)
		put_ports(w, ports, always[i], names[always[i]]);
	for (i = 0; i < N_PORT_TYPES; i++)
		if (i != PORT_PHY && i != PORT_VHOST && i != PORT_RING &&
				has_type(ports, (enum port_type_id)i))
			put_ports(w, ports, (enum port_type_id)i, names[i]);
}

static void
put_attachments(struct json *w, unsigned int component, bool tx)
{
	static const char *const operations[] = { "none", "add", "del" };
	const struct attachment *a;
	char text[PORT_ID_STRLEN];
	unsigned int i;

	json_array(w, tx ? "tx_port" : "rx_port");
	for (i = 0; i < components.nattachments; i++) {
		a = &components.attachment[i];
		if (a->component != component || a->tx != tx)
			continue;
		json_object(w, NULL);
		port_id_format_status(a->port->id, text);
		json_string(w, "port", text);
		json_object(w, "vlan");
		json_string(w, "operation", operations[a->side.vlan]);
		json_uint(w, "id", a->side.tci & 0xfff);
		json_uint(w, "pcp", a->side.tci >> 13);
		json_end(w);
		json_end(w);
	}
	json_end(w);
}

static void
put_lcore(struct json *w, unsigned int lcore)
{
	const struct component *c;
	unsigned int i, n = 0;

	for (i = 0; i < components.n; i++) {
		c = &components.component[i];
		if (c->lcore != lcore)
			continue;
		json_object(w, NULL);
		json_uint(w, "core", lcore);
		json_string(w, "name", c->name);
		json_string(w, "type", component_type_name(c->type));
		put_attachments(w, i, false);
		put_attachments(w, i, true);
		json_end(w);
		n++;
	}
	if (n > 0)
		return;
	json_object(w, NULL);
	json_uint(w, "core", lcore);
	json_string(w, "type", component_type_name(COMPONENT_NONE));
	json_end(w);
}

static void
put_entries(struct json *w)
{
	char text[PORT_ID_STRLEN], words[MATCH_STRLEN], value[MATCH_STRLEN + 8];
	const struct class_entry *e;
	const char *mac;
	unsigned int i;

	json_array(w, "classifier_table");
	for (i = 0; i < components.nentries; i++) {
		e = &components.entry[i];
		match_format(&e->match, words);
		mac = e->is_default ? "default" : strstr(words, "dst_mac=") + strlen("dst_mac=");
		if (e->match.vlan == MATCH_UNTAGGED)
			snprintf(value, sizeof(value), "%s", mac);
		else
			snprintf(value, sizeof(value), "%u/%s", e->match.vlan, mac);
		json_object(w, NULL);
		json_string(w, "type", e->match.vlan == MATCH_UNTAGGED ? "mac" : "vlan");
		json_string(w, "value", value);
		port_id_format_status(e->port->id, text);
		json_string(w, "port", text);
		json_end(w);
	}
	json_end(w);
}

void
component_status(struct request *r)
{
	const struct app *app = r->app;
	struct json w;
	unsigned int lcore;

	results_start(&w, r);
	json_object(&w, "info");
	json_uint(&w, "client-id", app->cfg.client_id);
	put_all_ports(&w, &app->ports);
	json_uint(&w, "master-lcore", rte_get_main_lcore());
	json_array(&w, "core");
	RTE_LCORE_FOREACH_WORKER(lcore)
		put_lcore(&w, lcore);
	json_end(&w);
	if (app->cfg.kind == PROCESS_VF)
		put_entries(&w);
	status_put_counters(&w, &app->ports); /* not in SPP: docs/dataplane.md */
	json_end(&w);
	json_finish(&w);
}
