/* SPDX-License-Identifier: BSD-3-Clause */
#include <poll.h>
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
#include "pcap/lz4_file.h"
#include "pcap/recorder.h"

#define RING_SLOTS 16384 /* as in SPP */
#define WRITE_BURST 64
#define WAIT_MS 100
#define SETTLE_US 1000
#define SNAPLEN 65535

struct writer {
	unsigned int lcore;
	unsigned int number; /* from 1, in the names of files */
	unsigned int sequence;
	uint64_t token;	 /* of ring_notify, 0: awake */
	uint64_t rounds; /* looks at the ring */
	struct ring_notify notify;
	struct lz4_file file;
	uint64_t written;
	bool writing; /* has a file to write to */
} __rte_cache_aligned;

/* The destination of the patch. */
struct port_recorder {
	struct port port;
	uint64_t received; /* frames that the ring has taken */
};

static struct {
	struct port *source;
	struct port_recorder *sink;
	struct rte_ring *ring;
	struct writer *writer;
	unsigned int nwriters;
	bool started; /* the patch exists */
	bool ending;  /* the writers end */
	time_t time;  /* in the names of the files */
	char date[16];
	const struct config *cfg;
} recorder;

static uint16_t
recorder_tx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	unsigned int i, sent;

	sent = rte_ring_sp_enqueue_burst(recorder.ring, (void **)bufs, n, NULL);
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
open_next(struct writer *w)
{
	char path[256], uid[sizeof(recorder.cfg->capture_port)], *colon;

	snprintf(uid, sizeof(uid), "%s", recorder.cfg->capture_port);
	colon = strchr(uid, ':');
	memmove(colon, colon + 1, strlen(colon));
	snprintf(path, sizeof(path), "%s/spp_pcap.%s.%s.%u.%u.pcap.lz4", recorder.cfg->out_dir,
			recorder.date, uid, w->number, ++w->sequence);
	return lz4_file_open(&w->file, path);
}

static bool
write_frame(struct writer *w, const struct rte_mbuf *m)
{
	uint32_t captured = RTE_MIN(m->pkt_len, (uint32_t)SNAPLEN), left = captured, piece;
	struct timespec now;

	if (w->file.size > recorder.cfg->file_size && !(lz4_file_close(&w->file) && open_next(w)))
		return false;
	clock_gettime(CLOCK_REALTIME, &now);
	if (!lz4_file_frame(&w->file, &now, captured, m->pkt_len))
		return false;
	for (; m != NULL && left > 0; m = m->next, left -= piece) {
		piece = RTE_MIN((uint32_t)m->data_len, left);
		if (!lz4_file_write(&w->file, rte_pktmbuf_mtod(m, const void *), piece))
			return false;
	}
	w->written++;
	return true;
}

/* Return the number of frames that were taken out of the ring. */
static unsigned int
write_burst(struct writer *w)
{
	struct rte_mbuf *bufs[WRITE_BURST];
	unsigned int i, n;

	n = rte_ring_mc_dequeue_burst(recorder.ring, (void **)bufs, WRITE_BURST, NULL);
	for (i = 0; i < n; i++)
		if (w->writing && !write_frame(w, bufs[i]))
			__atomic_store_n(&w->writing, false, __ATOMIC_RELEASE);
	rte_pktmbuf_free_bulk(bufs, n);
	return n;
}

/* Sleep until the ring is filled. */
static void
sleep_until_filled(struct writer *w)
{
	struct pollfd fd = { .fd = w->notify.fd, .events = POLLIN };

	__atomic_store_n(&w->token, w->notify.token, __ATOMIC_RELEASE);
	ring_notify_barrier();
	if (rte_ring_empty(recorder.ring) && poll(&fd, 1, WAIT_MS) > 0)
		ring_notify_drain(&w->notify);
	__atomic_store_n(&w->token, 0, __ATOMIC_RELEASE);
}

static int
writer_main(void *arg)
{
	struct writer *w = arg;

	while (!__atomic_load_n(&recorder.ending, __ATOMIC_ACQUIRE) ||
			!rte_ring_empty(recorder.ring)) {
		if (write_burst(w) == 0)
			sleep_until_filled(w);
		__atomic_add_fetch(&w->rounds, 1, __ATOMIC_RELEASE);
	}
	return 0;
}

static bool
make_ring(void)
{
	ssize_t size = rte_ring_get_memsize(RING_SLOTS);

	recorder.ring = aligned_alloc(RTE_CACHE_LINE_SIZE, (size_t)size);
	if (recorder.ring != NULL &&
			rte_ring_init(recorder.ring, "recorder", RING_SLOTS, RING_F_SP_ENQ) == 0)
		return true;
	log_line("no memory for a ring of %d frames", RING_SLOTS);
	return false;
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
	struct port_id id = { .type = PORT_PCAP };

	recorder.cfg = &app->cfg;
	recorder.source = open_source(app);
	recorder.sink = port_alloc(sizeof(*recorder.sink), id, &recorder_ops);
	if (recorder.source == NULL || recorder.sink == NULL ||
			access(app->cfg.out_dir, W_OK) < 0) {
		if (recorder.source != NULL)
			log_line("--out-dir %s: no such folder, or not writable", app->cfg.out_dir);
		return -1;
	}
	return make_ring() && start_writers() ? 0 : -1;
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
	strftime(recorder.date, sizeof(recorder.date), "%Y%m%d%H%M%S", &local);
	for (i = 0; i < recorder.nwriters; i++) {
		recorder.writer[i].sequence = 0;
		if (!open_next(&recorder.writer[i]))
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

	while (!rte_ring_empty(recorder.ring))
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
pcap_recorder_put_status(const struct app *app, struct json *w)
{
	uint64_t written = 0;
	unsigned int i;

	json_array(w, "core");
	put_core(w, rte_get_next_lcore(-1, 1, 0), "receive");
	json_array(w, "rx_port");
	json_object(w, NULL);
	json_string(w, "port", app->cfg.capture_port);
	json_end(w);
	json_end(w);
	json_end(w);
	for (i = 0; i < recorder.nwriters; i++) {
		const struct writer *writer = &recorder.writer[i];

		put_core(w, writer->lcore, "write");
		json_string(w, "filename", writer->writing ? writer->file.path : "");
		json_end(w);
		written += writer->written;
	}
	json_end(w);
	json_uint(w, "received", recorder.sink->received);
	json_uint(w, "written", written);
	json_uint(w, "dropped", recorder.sink->port.stats->tx_drop);
}

void
pcap_recorder_close(void)
{
	unsigned int i;

	if (recorder.writer == NULL)
		return;
	__atomic_store_n(&recorder.ending, true, __ATOMIC_RELEASE);
	for (i = 0; i < recorder.nwriters; i++) {
		rte_eal_wait_lcore(recorder.writer[i].lcore);
		ring_notify_close(&recorder.writer[i].notify);
	}
	close_files();
}
