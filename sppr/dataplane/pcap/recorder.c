/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_launch.h>
#include <rte_lcore.h>
#include <rte_ring.h>

#include "base/log.h"
#include "forward/claims.h"
#include "forward/patch.h"
#include "forward/ring_notify.h"
#include "forward/worker.h"
#include "pcap/recorder.h"
#include "pcap/writer.h"

#define RING_SLOTS 16384 /* as in SPP */
#define SETTLE_US 1000

/* The destination of the patch. */
struct port_recorder {
	struct port port;
	uint64_t received; /* frames that the ring has taken */
};

static struct {
	struct port *source;
	struct port_recorder *sink;
	struct recording to;
	struct writer *writer;
	unsigned int nwriters;
	bool started; /* the patch exists */
	time_t time;  /* in the names of the files */
} recorder;

static uint16_t
recorder_tx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	unsigned int i, sent;

	sent = rte_ring_sp_enqueue_burst(recorder.to.ring, (void **)bufs, n, NULL);
	((struct port_recorder *)port)->received += sent;
	for (i = 0; i < recorder.nwriters; i++)
		ring_notify_filled(&recorder.writer[i].token);
	return (uint16_t)sent;
}

static void
recorder_close(struct port *port)
{
	(void)port;
}

static const struct port_ops recorder_ops = { .tx_burst = recorder_tx, .close = recorder_close };

static bool
make_ring(void)
{
	ssize_t size = rte_ring_get_memsize(RING_SLOTS);

	recorder.to.ring = aligned_alloc(RTE_CACHE_LINE_SIZE, (size_t)size);
	if (recorder.to.ring != NULL &&
			rte_ring_init(recorder.to.ring, "recorder", RING_SLOTS, RING_F_SP_ENQ) == 0)
		return true;
	log_line("no memory for a ring of %d frames", RING_SLOTS);
	return false;
}

/* Return the port that `phy:N` stands for in a lab without NICs: port N of the primary, or NULL. */
static struct port *
port_of_nic(const struct port_table *ports, unsigned int number)
{
	struct port *found = NULL;
	unsigned int i;

	for (i = 0; i < ports->n; i++) {
		if (ports->port[i]->id.type == PORT_PHY)
			return NULL;
		if (ports->port[i]->fixed && number-- == 0)
			found = ports->port[i];
	}
	return found;
}

static struct port *
open_source(struct app *app)
{
	struct port_id id;
	struct port *port;

	if (port_id_parse(app->cfg.capture_port, &id) < 0) {
		log_line("-c %s is not a port", app->cfg.capture_port);
		return NULL;
	}
	port = port_table_find(&app->ports, id);
	if (port == NULL && id.type == PORT_PHY && id.nq == 0)
		port = port_of_nic(&app->ports, id.number);
	if (port == NULL && id.type == PORT_RING && patch_add_port(app, id) == 0)
		port = port_table_find(&app->ports, id);
	if (port == NULL || port->ops->rx_burst == NULL) {
		log_line("-c %s: the primary has no such port", app->cfg.capture_port);
		return NULL;
	}
	return port;
}

static bool
start_writers(void)
{
	struct writer *w;
	unsigned int lcore, i = 0;

	if (rte_lcore_count() < 3) {
		log_line("needs three lcores or more: control, receive, write");
		return false;
	}
	recorder.nwriters = rte_lcore_count() - 2;
	recorder.writer = aligned_alloc(
			RTE_CACHE_LINE_SIZE, recorder.nwriters * sizeof(recorder.writer[0]));
	if (recorder.writer == NULL)
		return false;
	memset(recorder.writer, 0, recorder.nwriters * sizeof(recorder.writer[0]));
	RTE_LCORE_FOREACH_WORKER(lcore) {
		if (i++ == 0)
			continue; /* this one receives */
		w = &recorder.writer[i - 2];
		w->lcore = lcore;
		w->number = i - 1;
		w->to = &recorder.to;
		if (ring_notify_open(&w->notify) < 0 ||
				rte_eal_remote_launch(writer_main, w, lcore) != 0) {
			log_line("cannot start the writer on lcore %u", lcore);
			return false;
		}
	}
	return true;
}

int
pcap_recorder_set_up(struct app *app)
{
	recorder.to.cfg = &app->cfg;
	recorder.source = open_source(app);
	if (recorder.source == NULL)
		return -1;
	if (access(app->cfg.out_dir, W_OK) < 0) {
		log_line("--out-dir %s: no such folder, or not writable", app->cfg.out_dir);
		return -1;
	}
	writer_name_port(&recorder.to, recorder.source->id);
	recorder.sink = port_alloc(sizeof(*recorder.sink), (struct port_id){ .type = PORT_PCAP },
			&recorder_ops);
	return recorder.sink != NULL && make_ring() && start_writers() ? 0 : -1;
}

/* Let the worker receive from the port, or no longer. */
static int
patch(struct app *app, bool on)
{
	int ret = 0;

	recorder.source->patched_to = on ? &recorder.sink->port : NULL;
	if (on)
		ret = claims_take_all(&app->ports);
	if (ret == 0)
		ret = workers_apply(&app->ports, on);
	if (ret < 0)
		recorder.source->patched_to = NULL;
	claims_release_unused(&app->ports);
	return ret;
}

static bool
open_files(void)
{
	struct tm local;
	unsigned int i;

	/* the second of the name must be another one than that of the capture before */
	recorder.time = RTE_MAX(time(NULL), recorder.time + 1);
	localtime_r(&recorder.time, &local);
	strftime(recorder.to.date, sizeof(recorder.to.date), "%Y%m%d%H%M%S", &local);
	for (i = 0; i < recorder.nwriters; i++) {
		recorder.writer[i].sequence = 0;
		if (!writer_open_next(&recorder.writer[i]))
			return false;
	}
	return true;
}

static bool
close_files(void)
{
	bool ok = true;
	unsigned int i;

	for (i = 0; i < recorder.nwriters; i++) {
		ok &= recorder.writer[i].file.file == NULL ||
		      lz4_file_close(&recorder.writer[i].file);
		recorder.writer[i].writing = false;
	}
	return ok;
}

bool
pcap_recorder_running(void)
{
	unsigned int i;

	for (i = 0; recorder.started && i < recorder.nwriters; i++)
		if (__atomic_load_n(&recorder.writer[i].writing, __ATOMIC_ACQUIRE))
			return true;
	return false;
}

bool
pcap_recorder_start(struct app *app)
{
	unsigned int i;

	if (pcap_recorder_running())
		return true;
	pcap_recorder_stop(app);
	if (!open_files()) {
		close_files();
		return false;
	}
	for (i = 0; i < recorder.nwriters; i++)
		__atomic_store_n(&recorder.writer[i].writing, true, __ATOMIC_RELEASE);
	if (patch(app, true) < 0) {
		close_files();
		return false;
	}
	recorder.started = true;
	app->running = true;
	return true;
}

/* Wait until the writers have written what was in the ring. */
static void
wait_for_writers(void)
{
	struct writer *w;
	unsigned int i;
	uint64_t seen;

	while (!rte_ring_empty(recorder.to.ring))
		usleep(SETTLE_US);
	for (i = 0; i < recorder.nwriters; i++) {
		w = &recorder.writer[i];
		seen = __atomic_load_n(&w->rounds, __ATOMIC_ACQUIRE);
		while (__atomic_load_n(&w->rounds, __ATOMIC_ACQUIRE) < seen + 2) {
			ring_notify_send(&w->token);
			usleep(SETTLE_US);
		}
	}
}

bool
pcap_recorder_stop(struct app *app)
{
	if (!recorder.started)
		return true;
	patch(app, false);
	recorder.started = false;
	app->running = false;
	wait_for_writers();
	return close_files();
}

static void
put_core(struct json *w, unsigned int core, const char *role)
{
	json_object(w, NULL);
	json_uint(w, "core", core);
	json_string(w, "role", role);
}

void
pcap_recorder_put_status(struct json *w)
{
	char text[PORT_ID_STRLEN];
	uint64_t written = 0, dropped = recorder.sink->port.stats->tx_drop;
	unsigned int i;

	json_array(w, "core");
	put_core(w, rte_get_next_lcore(-1, 1, 0), "receive");
	json_array(w, "rx_port");
	json_object(w, NULL);
	port_id_format_status(recorder.source->id, text);
	json_string(w, "port", text);
	json_end(w);
	json_end(w);
	json_end(w);
	for (i = 0; i < recorder.nwriters; i++) {
		const struct writer *writer = &recorder.writer[i];

		put_core(w, writer->lcore, "write");
		json_string(w, "filename", writer->writing ? writer->file.path : "");
		json_end(w);
		written += writer->written;
		dropped += writer->dropped;
	}
	json_end(w);
	json_uint(w, "received", recorder.sink->received);
	json_uint(w, "written", written);
	json_uint(w, "dropped", dropped);
}

void
pcap_recorder_close(void)
{
	unsigned int i;

	if (recorder.writer == NULL)
		return;
	__atomic_store_n(&recorder.to.ending, true, __ATOMIC_RELEASE);
	for (i = 0; i < recorder.nwriters; i++) {
		rte_eal_wait_lcore(recorder.writer[i].lcore);
		ring_notify_close(&recorder.writer[i].notify);
	}
	close_files();
}
