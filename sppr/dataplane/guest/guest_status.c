/* SPDX-License-Identifier: BSD-3-Clause */
#include "control/status.h"

/* status.h for the guest. The controller sees it as an nfv. */

static void
put_patch(struct json *w, const struct port *port)
{
	char text[PORT_ID_STRLEN];

	json_object(w, NULL);
	port_id_format(port->id, text);
	json_string(w, "src", text);
	port_id_format(port->patched_to->id, text);
	json_string(w, "dst", text);
	json_end(w);
}

static void
put_counters(struct json *w, const struct port *port)
{
	char text[PORT_ID_STRLEN];

	port_id_format(port->id, text);
	status_open_counters(w, text, port->rx, port->rx_drop, port->tx, port->tx_drop);
	json_uint(w, "rx_bytes", port->rx_bytes);
	json_uint(w, "tx_bytes", port->tx_bytes);
	json_end(w);
}

void
status_nfv(const struct app *app, char *reply, size_t size)
{
	const struct port_table *t = &app->ports;
	char text[PORT_ID_STRLEN];
	struct json w;
	unsigned int i;

	json_start(&w, reply, size);
	json_uint(&w, "client-id", app->cfg.client_id);
	json_string(&w, "status", app->running ? "running" : "idling");
	json_uint(&w, "master-lcore", 0); /* there is one thread */
	json_array(&w, "lcores");
	json_uint(&w, NULL, 0);
	json_end(&w);
	json_array(&w, "counters");
	for (i = 0; i < t->n; i++)
		put_counters(&w, t->port[i]);
	json_end(&w);
	json_array(&w, "ports");
	for (i = 0; i < t->n; i++) {
		port_id_format(t->port[i]->id, text);
		json_string(&w, NULL, text);
	}
	json_end(&w);
	json_array(&w, "patches");
	for (i = 0; i < t->n; i++)
		if (t->port[i]->patched_to != NULL)
			put_patch(&w, t->port[i]);
	json_end(&w);
	json_finish(&w);
}

/* A guest is never the primary, so these are not called. */
void
status_primary(const struct app *app, char *reply, size_t size)
{
	status_nfv(app, reply, size);
}

void
status_clear(struct app *app)
{
	(void)app;
}
