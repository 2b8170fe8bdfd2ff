/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "base/dpdk_compat.h"
#include "base/log.h"
#include "control/telemetry.h"
#include "forward/patch_registry.h"
#include "shm/owner.h"

static struct shared_view view;

/* `ring_0`: telemetry does not accept a colon in a key. */
static void
member_name(struct port_id id, char text[PORT_ID_STRLEN])
{
	port_id_format(id, text);
	*strchr(text, ':') = '_';
}

static void
put_stats(struct rte_tel_data *d, const char *name, const struct port_stats *s,
		const struct rte_ring *ring)
{
	struct rte_tel_data *one = rte_tel_data_alloc();

	if (one == NULL)
		return;
	rte_tel_data_start_dict(one);
	rte_tel_data_add_dict_uint(one, "rx", s->rx);
	rte_tel_data_add_dict_uint(one, "rx_drop", s->rx_drop);
	rte_tel_data_add_dict_uint(one, "tx", s->tx);
	rte_tel_data_add_dict_uint(one, "tx_drop", s->tx_drop);
	if (ring != NULL) {
		rte_tel_data_add_dict_uint(one, "used", rte_ring_count(ring));
		rte_tel_data_add_dict_uint(one, "capacity", rte_ring_get_capacity(ring));
	}
	rte_tel_data_add_dict_container(d, name, one, 0);
}

static int
rings(const char *cmd, const char *params, struct rte_tel_data *d)
{
	char text[PORT_ID_STRLEN];
	uint16_t i;

	(void)cmd;
	(void)params;
	rte_tel_data_start_dict(d);
	for (i = 0; i < view.info->nrings; i++) {
		member_name((struct port_id){ PORT_RING, i, 0 }, text);
		put_stats(d, text, &view.info->ring_stats[i], view.ring[i]);
	}
	return 0;
}

static int
ports(const char *cmd, const char *params, struct rte_tel_data *d)
{
	const struct shared_port *port;
	struct port_stats s;
	char text[PORT_ID_STRLEN];
	uint16_t i;

	(void)cmd;
	(void)params;
	rte_tel_data_start_dict(d);
	for (i = 0; i < view.info->nports; i++) {
		port = &view.info->port[i];
		member_name((struct port_id){ (enum port_type_id)port->type, port->number, 0 },
				text);
		s = shared_port_stats(view.info, i);
		put_stats(d, text, &s, NULL);
	}
	return 0;
}

static void
put_process(struct rte_tel_data *one, const struct patch_registry_entry *e)
{
	rte_tel_data_start_dict(one);
	rte_tel_data_add_dict_uint(one, "pid", e->process >> 32);
	rte_tel_data_add_dict_string(one, "status", e->running ? "running" : "idling");
	rte_tel_data_add_dict_uint(one, "patches", e->npatches);
}

static void
put_patches(struct rte_tel_data *one, const struct patch_registry_entry *e)
{
	char src[PORT_ID_STRLEN], dst[PORT_ID_STRLEN], text[2 * PORT_ID_STRLEN + 8];
	unsigned int i;

	rte_tel_data_start_array(one, RTE_TEL_STRING_VAL);
	for (i = 0; i < e->npatches; i++) {
		port_id_format(e->patch[i].src, src);
		port_id_format(e->patch[i].dst, dst);
		snprintf(text, sizeof(text), "%s %s", src, dst);
		rte_tel_data_add_array_string(one, text);
	}
}

/* One member for each live process. The key is its id, 0 for the primary. */
static int
each_process(struct rte_tel_data *d,
		void (*put)(struct rte_tel_data *one, const struct patch_registry_entry *e))
{
	struct rte_tel_data *one;
	struct patch_registry_entry e;
	unsigned int i;
	char id[16];

	rte_tel_data_start_dict(d);
	for (i = 0; i < PATCH_REGISTRY_SIZE; i++) {
		if (!patch_registry_read(view.info, i, &e) || (one = rte_tel_data_alloc()) == NULL)
			continue;
		put(one, &e);
		snprintf(id, sizeof(id), "%u", e.id);
		rte_tel_data_add_dict_container(d, id, one, 0);
	}
	return 0;
}

static int
processes(const char *cmd, const char *params, struct rte_tel_data *d)
{
	(void)cmd;
	(void)params;
	return each_process(d, put_process);
}

static int
patches(const char *cmd, const char *params, struct rte_tel_data *d)
{
	(void)cmd;
	(void)params;
	return each_process(d, put_patches);
}

static void
put_probe(struct rte_tel_data *one, const struct probe_slot *p)
{
	const struct probe_source_counters *source = &p->source;
	const struct probe_sink_counters *sink = &p->sink;

	rte_tel_data_start_dict(one);
	rte_tel_data_add_dict_uint(one, "pid", p->process >> 32);
	rte_tel_data_add_dict_uint(one, "running", source->running);
	rte_tel_data_add_dict_uint(one, "sent", source->sent);
	rte_tel_data_add_dict_uint(one, "behind", source->behind);
	rte_tel_data_add_dict_uint(one, "no_mbuf", source->no_mbuf);
	rte_tel_data_add_dict_uint(one, "received", sink->received);
	rte_tel_data_add_dict_uint(one, "reordered", sink->reordered);
	rte_tel_data_add_dict_uint(one, "late", sink->late);
	rte_tel_data_add_dict_uint(one, "duplicate", sink->duplicate);
	rte_tel_data_add_dict_uint(one, "corrupt", sink->corrupt);
	rte_tel_data_add_dict_uint(one, "foreign", sink->foreign);
	rte_tel_data_add_dict_uint(one, "misdelivered", sink->misdelivered);
	rte_tel_data_add_dict_uint(one, "p50_ns", probe_histogram_percentile(&sink->latency, 500));
	rte_tel_data_add_dict_uint(one, "p99_ns", probe_histogram_percentile(&sink->latency, 990));
	rte_tel_data_add_dict_uint(one, "max_ns", sink->latency.max);
}

static int
probes(const char *cmd, const char *params, struct rte_tel_data *d)
{
	const struct probe_slot *p = view.info->probe;
	struct rte_tel_data *one;
	char text[PORT_ID_STRLEN];
	uint16_t i;

	(void)cmd;
	(void)params;
	rte_tel_data_start_dict(d);
	for (i = 0; i < MAX_PROBES; i++) {
		if (!owner_alive(__atomic_load_n(&p[i].process, __ATOMIC_ACQUIRE)) ||
				(one = rte_tel_data_alloc()) == NULL)
			continue;
		put_probe(one, &p[i]);
		member_name((struct port_id){ PORT_PROBE, i, 0 }, text);
		rte_tel_data_add_dict_container(d, text, one, 0);
	}
	return 0;
}

int
telemetry_set_up(const struct app *app)
{
	view = app->view;
	if (rte_telemetry_register_cmd("/spp/rings", rings,
			    "Counters and fill of each ring. No parameters.") < 0 ||
			rte_telemetry_register_cmd("/spp/ports", ports,
					"Counters of each port. No parameters.") < 0 ||
			rte_telemetry_register_cmd("/spp/processes", processes,
					"Primary (0) and live secondaries. No parameters.") < 0 ||
			rte_telemetry_register_cmd("/spp/patches", patches,
					"\"SRC DST\" of each, by process. No parameters.") < 0 ||
			rte_telemetry_register_cmd("/spp/probes", probes,
					"Counters of each probe. No parameters.") < 0) {
		log_line("cannot register with telemetry");
		return -1;
	}
	return 0;
}
