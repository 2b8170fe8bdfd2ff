/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include <rte_branch_prediction.h>

#include "base/eventfd_notify.h"
#include "base/log.h"
#include "forward/worker.h"
#include "memif/server.h"
#include "port/port.h"
#include "port/port_type.h"

/* memif:N, the server of interface N. DPDK's net_memif works in the primary only, and trusts the
 * client's memory. This port copies frames from and to the client's memory.
 */
#define FRAME_MIN 14
#define FRAME_MAX 16384 /* limit of the mbufs for one frame */

struct port_memif {
	struct port port;
	struct memif_endpoint endpoint;
	struct rte_mempool *pool;
	struct memif_link *link;  /* the control thread writes it, workers read it */
	struct memif_link *armed; /* for the worker: the link whose event it waits for */
	struct eventfd_notify notify;
};

static struct memif_link *
link_of(const struct port_memif *p)
{
	return __atomic_load_n(&p->link, __ATOMIC_ACQUIRE);
}

/* Copy a frame into an empty mbuf, with a chain of mbufs if one is too small. */
static bool
copy_in(struct port_memif *p, struct rte_mbuf *head, const struct memif_frame *frame)
{
	struct rte_mbuf *m = head;
	uint32_t from, len;
	unsigned int i;

	for (i = 0; i < frame->n; i++) {
		for (from = 0; from < frame->segment[i].len; from += len) {
			if (rte_pktmbuf_tailroom(m) == 0) {
				m->next = rte_pktmbuf_alloc(p->pool);
				if (m->next == NULL)
					return false;
				m = m->next;
				head->nb_segs++;
			}
			len = RTE_MIN(frame->segment[i].len - from,
					(uint32_t)rte_pktmbuf_tailroom(m));
			memcpy(rte_pktmbuf_mtod_offset(m, void *, m->data_len),
					frame->segment[i].data + from, len);
			m->data_len = (uint16_t)(m->data_len + len);
			head->pkt_len += len;
		}
	}
	return true;
}

static uint16_t
memif_rx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	struct port_memif *p = (struct port_memif *)port;
	struct memif_link *link = link_of(p);
	uint16_t there, count, used, taken = 0, good = 0, bad = 0;
	struct memif_frame frame;

	if (link == NULL)
		return 0;
	there = memif_queue_count(&link->in);
	count = RTE_MIN(there, n);
	/* without mbufs the frames stay in the ring */
	if (count == 0 || rte_pktmbuf_alloc_bulk(p->pool, bufs, count) != 0)
		return 0;
	while (good + bad < count && taken < there) {
		used = memif_queue_frame(&link->in, taken, there, &frame);
		if (unlikely(frame.len < FRAME_MIN || frame.len > FRAME_MAX))
			bad++;
		else if (likely(copy_in(p, bufs[good], &frame)))
			good++;
		else
			break;
		taken = (uint16_t)(taken + used);
	}
	memif_queue_release(&link->in, taken);
	port->stats->rx_drop += bad;
	rte_pktmbuf_free_bulk(&bufs[good], (unsigned int)(count - good));
	return good;
}

/* Copy a frame out, from descriptor i on. Return the number of descriptors, or 0 if there are too
 * few.
 */
static uint16_t
copy_out(struct port *port, struct memif_queue *out, uint16_t i, uint16_t there, struct rte_mbuf *m)
{
	uint32_t at, len;
	struct memif_segment segment;
	uint16_t used = 0;
	const void *from;

	for (at = 0; at < m->pkt_len; at += len) {
		if (i + used == there)
			return 0;
		if (unlikely(!memif_queue_segment(out, (uint16_t)(i + used), &segment) ||
				    segment.len == 0)) {
			/* not a valid buffer: drop this frame */
			port->stats->tx_drop++;
			memif_queue_clear(out, i, ++used);
			return used;
		}
		len = RTE_MIN(m->pkt_len - at, segment.len);
		from = rte_pktmbuf_read(m, at, len, segment.data);
		if (from != segment.data)
			memcpy(segment.data, from, len);
		memif_queue_fill(out, (uint16_t)(i + used++), len, at + len < m->pkt_len);
	}
	return used;
}

static uint16_t
memif_tx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	struct port_memif *p = (struct port_memif *)port;
	struct memif_link *link = link_of(p);
	uint16_t there, used, filled = 0, i;

	if (link == NULL)
		return 0;
	there = memif_queue_count(&link->out);
	for (i = 0; i < n && filled < there; i++) {
		used = copy_out(port, &link->out, filled, there, bufs[i]);
		if (used == 0)
			break;
		filled = (uint16_t)(filled + used);
	}
	if (filled == 0)
		return 0;
	memif_queue_release(&link->out, filled);
	if (memif_queue_needs_event(&link->out))
		eventfd_notify_send(&p->notify, link->out_event);
	rte_pktmbuf_free_bulk(bufs, i);
	return i;
}

/* Ask the client for events. Clients, as DPDK's, use no fence, so one may miss that this worker is
 * about to sleep. idle.c wakes the worker after 100 ms at the latest.
 */
static int
memif_arm(struct port *port, uint64_t token)
{
	struct port_memif *p = (struct port_memif *)port;

	(void)token;
	p->armed = link_of(p);
	if (p->armed == NULL)
		return WAIT_NONE; /* on_connected() wakes the worker */
	memif_queue_enable_events(&p->armed->in, true);
	return p->armed->in_wait;
}

static void
memif_disarm(struct port *port, bool event)
{
	struct port_memif *p = (struct port_memif *)port;
	struct epoll_event ready;

	/* on_disconnected() waits for this worker, so the link is valid */
	if (p->armed == NULL)
		return;
	memif_queue_enable_events(&p->armed->in, false);
	if (event)
		epoll_wait(p->armed->in_wait, &ready, 1, 0);
	p->armed = NULL;
}

static void
memif_close(struct port *port)
{
	struct port_memif *p = (struct port_memif *)port;

	memif_server_remove(&p->endpoint);
	eventfd_notify_close(&p->notify);
}

static bool
memif_port_link(const struct port *port)
{
	return link_of((const struct port_memif *)port) != NULL;
}

static const struct port_ops memif_ops = {
	.link = memif_port_link,
	.rx_burst = memif_rx,
	.tx_burst = memif_tx,
	.close = memif_close,
	.arm = memif_arm,
	.disarm = memif_disarm,
	.counts_bytes = true,
};

static struct port_memif *
port_of(struct memif_endpoint *endpoint)
{
	return container_of(endpoint, struct port_memif, endpoint);
}

static void
on_connected(struct memif_endpoint *endpoint, struct memif_link *link)
{
	__atomic_store_n(&port_of(endpoint)->link, link, __ATOMIC_RELEASE);
	workers_wake();
}

static void
on_disconnected(struct memif_endpoint *endpoint)
{
	struct port_memif *p = port_of(endpoint);
	const struct memif_link *link = p->link;

	__atomic_store_n(&p->link, NULL, __ATOMIC_RELEASE);
	workers_synchronize();
	if (link->in.corrupt + link->out.corrupt + link->in.bad + link->out.bad > 0)
		log_line("memif:%u: the peer's indexes were impossible %lu times, its descriptors "
			 "%lu "
			 "times",
				endpoint->id, (unsigned long)(link->in.corrupt + link->out.corrupt),
				(unsigned long)(link->in.bad + link->out.bad));
}

static struct port *
port_memif_open(const struct port_env *env, struct port_id id)
{
	struct port_memif *p = port_alloc(sizeof(*p), id, &memif_ops);

	if (p == NULL)
		return NULL;
	p->pool = env->view->pool;
	p->endpoint.id = id.number;
	p->endpoint.connected = on_connected;
	p->endpoint.disconnected = on_disconnected;
	if (eventfd_notify_open(&p->notify) == 0) {
		/* client_id is 0 on the primary */
		if (memif_server_add(&p->endpoint, env->cfg->sock_dir, env->cfg->client_id) == 0)
			return &p->port;
		eventfd_notify_close(&p->notify);
	}
	free(p);
	return NULL;
}

static const char *const ethdev_names[] = { "net_memif", NULL };

const struct port_type port_type_memif = {
	.open = port_memif_open,
	.ethdev_names = ethdev_names,
	.ethdev_is_private = true,
};
