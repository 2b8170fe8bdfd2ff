/* SPDX-License-Identifier: BSD-3-Clause */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <rte_ether.h>
#include <rte_lcore.h>

#include "control/status.h"

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
	if (port->ops->link != NULL)
		json_string(w, "link", port->ops->link(port) ? "up" : "down");
	json_end(w);
}

static void
put_patches(const struct app *app, struct json *w)
{
	const struct port_table *t = &app->ports;
	char text[PORT_ID_STRLEN];
	unsigned int i;

	json_array(w, "counters"); /* not SPP's: docs/dataplane.md */
	for (i = 0; i < t->n; i++)
		put_counters(w, t->port[i]);
	json_end(w);
	json_array(w, "ports");
	for (i = 0; i < t->n; i++) {
		port_id_format_status(t->port[i]->id, text);
		json_string(w, NULL, text);
	}
	json_end(w);
	json_array(w, "patches");
	for (i = 0; i < t->n; i++) {
		if (t->port[i]->patched_to == NULL)
			continue;
		json_object(w, NULL);
		port_id_format_status(t->port[i]->id, text);
		json_string(w, "src", text);
		port_id_format_status(t->port[i]->patched_to->id, text);
		json_string(w, "dst", text);
		json_end(w);
	}
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

/* What was counted since the last `clear`. */
static struct port_stats
since(const struct port_stats *now, const struct port_stats *base)
{
	return (struct port_stats){
		.rx = now->rx - base->rx,
		.rx_drop = now->rx_drop - base->rx_drop,
		.tx = now->tx - base->tx,
		.tx_drop = now->tx_drop - base->tx_drop,
	};
}

static void
mac_text(uint16_t ethdev, char text[RTE_ETHER_ADDR_FMT_SIZE])
{
	struct rte_ether_addr mac;

	if (rte_eth_macaddr_get(ethdev, &mac) < 0)
		memset(&mac, 0, sizeof(mac));
	/* lower case, as SPP writes it */
	snprintf(text, RTE_ETHER_ADDR_FMT_SIZE, "%02x:%02x:%02x:%02x:%02x:%02x",
			RTE_ETHER_ADDR_BYTES(&mac));
}

static void
put_phy_port(const struct app *app, struct json *w, uint16_t i)
{
	const struct shared_port *port = &app->view.info->port[i];
	struct port_stats all = shared_port_stats(app->view.info, i);
	struct port_stats s = since(&all, &app->port_base[i]);
	char mac[RTE_ETHER_ADDR_FMT_SIZE], text[PORT_ID_STRLEN];

	port_id_format((struct port_id){ (enum port_type_id)port->type, port->number, 0 }, text);
	mac_text(port->ethdev, mac);
	json_object(w, NULL);
	json_uint(w, "id", port->ethdev);
	json_string(w, "eth", mac);
	json_uint(w, "rx", s.rx);
	json_uint(w, "tx", s.tx);
	json_uint(w, "tx_drop", s.tx_drop);
	json_object(w, "nof_queues");
	json_uint(w, "rx", port->nrxq);
	json_uint(w, "tx", port->ntxq);
	json_end(w);
	json_array(w, "flow");
	json_end(w);
	json_string(w, "port", text);
	json_end(w);
}

static void
put_ring(const struct app *app, struct json *w, uint16_t i)
{
	struct port_stats s = since(&app->view.info->ring_stats[i], &app->ring_base[i]);

	json_object(w, NULL);
	json_uint(w, "id", i);
	json_uint(w, "rx", s.rx);
	json_uint(w, "rx_drop", s.rx_drop);
	json_uint(w, "tx", s.tx);
	json_uint(w, "tx_drop", s.tx_drop);
	json_end(w);
}

void
status_primary(const struct app *app, char *reply, size_t size)
{
	const struct shared *info = app->view.info;
	struct json w;
	uint16_t i;

	json_start(&w, reply, size);
	json_string(&w, "data_plane", "sppr"); /* what differs from SPP's: docs/dataplane.md */
	put_lcores(&w);
	if (app->has_forwarder) {
		json_object(&w, "forwarder");
		json_string(&w, "status", state(app));
		put_patches(app, &w);
		json_end(&w);
	}
	json_array(&w, "phy_ports");
	for (i = 0; i < info->nports; i++)
		put_phy_port(app, &w, i);
	json_end(&w);
	json_array(&w, "ring_ports");
	for (i = 0; i < info->nrings; i++)
		put_ring(app, &w, i);
	json_end(&w);
	json_array(&w, "pipes");
	for (i = 0; i < app->npipes; i++) {
		json_object(&w, NULL);
		json_uint(&w, "id", app->pipe[i].number);
		json_uint(&w, "rx", app->pipe[i].rx);
		json_uint(&w, "tx", app->pipe[i].tx);
		json_end(&w);
	}
	json_end(&w);
	json_finish(&w);
}

void
status_clear(struct app *app)
{
	uint16_t i;

	for (i = 0; i < app->view.info->nports; i++)
		app->port_base[i] = shared_port_stats(app->view.info, i);
	memcpy(app->ring_base, app->view.info->ring_stats, sizeof(app->ring_base));
}

static void
print_stats(const char *what, const struct port_stats *s)
{
	printf("%-10s rx %12" PRIu64 "  tx %12" PRIu64 "  tx_drop %12" PRIu64 "\n", what, s->rx,
			s->tx, s->tx_drop);
}

void
status_print(const struct app *app)
{
	const struct shared *info = app->view.info;
	struct port_stats s;
	char text[PORT_ID_STRLEN];
	uint16_t i;

	for (i = 0; i < info->nports; i++) {
		port_id_format((struct port_id){ (enum port_type_id)info->port[i].type,
					       info->port[i].number, 0 },
				text);
		s = shared_port_stats(info, i);
		s = since(&s, &app->port_base[i]);
		print_stats(text, &s);
	}
	for (i = 0; i < info->nrings; i++) {
		port_id_format((struct port_id){ PORT_RING, i, 0 }, text);
		s = since(&info->ring_stats[i], &app->ring_base[i]);
		print_stats(text, &s);
	}
	printf("\n");
	fflush(stdout);
}
