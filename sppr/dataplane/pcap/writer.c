/* SPDX-License-Identifier: BSD-3-Clause */
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "pcap/writer.h"

#define WRITE_BURST 64
#define WAIT_MS 100
#define SNAPLEN 65535

void
writer_name_port(struct recording *to, struct port_id id)
{
	char *colon;

	port_id_format(id, to->port);
	colon = strchr(to->port, ':');
	memmove(colon, colon + 1, strlen(colon));
}

bool
writer_open_next(struct writer *w)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/spp_pcap.%s.%s.%u.%u.pcap.lz4", w->to->cfg->out_dir,
			w->to->date, w->to->port, w->number, ++w->sequence);
	return lz4_file_open(&w->file, path);
}

static bool
write_frame(struct writer *w, const struct rte_mbuf *m)
{
	uint32_t captured = RTE_MIN(m->pkt_len, (uint32_t)SNAPLEN), left = captured, piece;
	struct timespec now;

	if (w->file.size > w->to->cfg->file_size &&
			!(lz4_file_close(&w->file) && writer_open_next(w)))
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

	n = rte_ring_mc_dequeue_burst(w->to->ring, (void **)bufs, WRITE_BURST, NULL);
	for (i = 0; i < n; i++) {
		if (w->writing && write_frame(w, bufs[i]))
			continue;
		__atomic_store_n(&w->writing, false, __ATOMIC_RELEASE);
		w->dropped++;
	}
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
	if (rte_ring_empty(w->to->ring) && poll(&fd, 1, WAIT_MS) > 0)
		ring_notify_drain(&w->notify);
	__atomic_store_n(&w->token, 0, __ATOMIC_RELEASE);
}

int
writer_main(void *arg)
{
	struct writer *w = arg;

	while (!__atomic_load_n(&w->to->ending, __ATOMIC_ACQUIRE) || !rte_ring_empty(w->to->ring)) {
		if (write_burst(w) == 0)
			sleep_until_filled(w);
		__atomic_add_fetch(&w->rounds, 1, __ATOMIC_RELEASE);
	}
	return 0;
}
