/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <rte_cycles.h>

#include "base/log.h"
#include "forward/deliver.h"
#include "forward/worker.h"
#include "impair/engine.h"
#include "impair/impairment.h"
#include "port/exclusive.h"

#define BITS 8
/* The worker wakes up so much before the next frame is due, and polls until then: a wake-up of the
 * kernel takes some 50 us.
 */
#define WAKE_EARLY_NS 60000

/* No timer is set for a later time: the clocks of the timer and of the frames would drift apart.
 * The worker wakes up every 100 ms (forward/idle.c), and then asks again.
 */
#define LONG_WAIT_NS 200000000

struct impairment {
	struct port port; /* the first member */
	struct shared *info;
	struct rte_mempool *pool;
	uint64_t hz;
	struct engine *engine; /* the control thread replaces it */
	struct engine *used;   /* by the worker */
	struct impairment_counters counters;
	int timer_fd;
	uint64_t armed; /* the time that the timer is set for */
	struct impairment *next;
	bool has_patch; /* for impairments_release_unused() */
};

/* Frames that were not lost. A burst may become twice as many. */
struct batch {
	unsigned int n;
	struct rte_mbuf *m[2 * FORWARD_BURST];
	bool at_once[2 * FORWARD_BURST];
};

static struct impairment *all;

/* The hot path starts here: no log, no system call, no allocation, no lock. */

static inline struct engine *
current_engine(struct impairment *i)
{
	struct engine *e = __atomic_load_n(&i->engine, __ATOMIC_ACQUIRE);

	if (unlikely(e != i->used)) {
		engine_adopt(e, i->used);
		__atomic_store_n(&i->used, e, __ATOMIC_RELEASE);
	}
	return e;
}

static inline void
add_frame(struct impairment *i, struct engine *e, struct batch *b, struct rte_mbuf *m)
{
	bool at_once = engine_reorders(e);

	i->counters.reordered += at_once;
	b->at_once[b->n] = at_once;
	b->m[b->n++] = m;
}

static void
flip_bit(struct rte_mbuf *m, uint64_t bit)
{
	uint64_t byte = bit / BITS;

	for (; m != NULL && byte >= m->data_len; m = m->next)
		byte -= m->data_len;
	if (m != NULL)
		*rte_pktmbuf_mtod_offset(m, uint8_t *, byte) ^= (uint8_t)(1U << bit % BITS);
}

/* Return the frame, or a copy of it if others refer to it, with one bit changed. Return NULL, and
 * free the frame, without an mbuf.
 */
static struct rte_mbuf *
corrupt(struct impairment *i, struct engine *e, struct rte_mbuf *m)
{
	struct rte_mbuf *own = make_exclusive(m, i->pool);

	if (own == NULL) {
		i->counters.no_memory++;
		rte_pktmbuf_free(m);
		return NULL;
	}
	flip_bit(own, random_below(&e->corrupt, (uint64_t)own->pkt_len * BITS));
	i->counters.corrupted++;
	return own;
}

/* As in netem, a frame that is both lost and duplicated is sent once. A duplicate is a copy,
 * because a later stage may write to it, and it is not corrupted.
 */
static void
take_frame(struct impairment *i, struct engine *e, struct batch *b, struct rte_mbuf *m)
{
	struct impairment_counters *c = &i->counters;
	bool duplicated = engine_duplicates(e), lost = loss_next(&e->loss);
	bool corrupted = engine_corrupts(e);
	struct rte_mbuf *copy;

	c->duplicated += duplicated;
	c->lost += lost;
	if (lost && !duplicated) {
		rte_pktmbuf_free(m);
		return;
	}
	if (duplicated && !lost) {
		copy = rte_pktmbuf_copy(m, i->pool, 0, UINT32_MAX);
		if (copy != NULL)
			add_frame(i, e, b, copy);
		else
			c->no_memory++;
	}
	if (unlikely(corrupted))
		m = corrupt(i, e, m);
	if (m != NULL)
		add_frame(i, e, b, m);
}

/* Return how many of n frames may be held, and count them in shared memory. */
static unsigned int
admit(struct impairment *i, const struct engine *e, unsigned int n)
{
	uint64_t count = queue_count(&e->queue), limit = e->parameters.value[IMPAIR_LIMIT];
	uint64_t room = limit > count ? limit - count : 0, before;
	unsigned int fit = (unsigned int)RTE_MIN(room, (uint64_t)n);

	i->counters.overflow += n - fit;
	if (fit == 0)
		return 0;
	n = fit;
	before = __atomic_fetch_add(&i->info->held, n, __ATOMIC_RELAXED);
	room = before < i->info->held_limit ? i->info->held_limit - before : 0;
	/* the queue has room for all that the lab may hold; this is for a wrong count */
	room = RTE_MIN(room, e->queue.capacity - count);
	if (unlikely(room < n)) {
		fit = (unsigned int)room;
		__atomic_fetch_sub(&i->info->held, n - fit, __ATOMIC_RELAXED);
		i->counters.no_memory += n - fit;
	}
	return fit;
}

static uint16_t
impairment_tx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	struct impairment *i = (struct impairment *)port;
	struct engine *e = current_engine(i);
	uint64_t now = rte_rdtsc(), due;
	struct batch b;
	unsigned int k, held;

	n = RTE_MIN(n, FORWARD_BURST);
	b.n = 0;
	for (k = 0; k < n; k++)
		take_frame(i, e, &b, bufs[k]);
	i->counters.offered += n;
	held = admit(i, e, b.n);
	for (k = 0; k < held; k++) {
		due = b.at_once[k] ? now : engine_due(e, now, b.m[k]->pkt_len);
		queue_push(&e->queue, due, b.m[k]);
	}
	i->counters.held = queue_count(&e->queue);
	if (unlikely(held < b.n))
		rte_pktmbuf_free_bulk(&b.m[held], b.n - held);
	return n;
}

static uint16_t
impairment_rx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	struct impairment *i = (struct impairment *)port;
	struct engine *e = current_engine(i);
	uint16_t got = 0;
	uint64_t now;

	if (queue_count(&e->queue) == 0)
		return 0;
	now = rte_rdtsc();
	while (got < n && (bufs[got] = queue_pop(&e->queue, now)) != NULL)
		got++;
	if (got == 0)
		return 0;
	__atomic_fetch_sub(&i->info->held, got, __ATOMIC_RELAXED);
	i->counters.sent += got;
	i->counters.held = queue_count(&e->queue);
	return got;
}

/* The hot path ends here. */

/* Set the timer for the next frame. It stays readable until it is set again, so that a worker does
 * not sleep shortly before the frame is due.
 */
static int
impairment_arm(struct port *port, uint64_t token)
{
	struct impairment *i = (struct impairment *)port;
	const struct held_frame *first = queue_first(&current_engine(i)->queue);
	struct itimerspec timer = { { 0, 0 }, { 0, 1 } };
	uint64_t now, ns = 0;

	(void)token;
	if (first == NULL)
		return WAIT_NONE;
	if (first->due == i->armed)
		return i->timer_fd;
	now = rte_rdtsc();
	if (first->due > now)
		ns = (uint64_t)((unsigned __int128)(first->due - now) * NS_PER_S / i->hz);
	if (ns > LONG_WAIT_NS)
		return WAIT_NONE;
	if (ns > WAKE_EARLY_NS) {
		ns -= WAKE_EARLY_NS;
		timer.it_value.tv_sec = (time_t)(ns / NS_PER_S);
		timer.it_value.tv_nsec = (long)(ns % NS_PER_S);
	}
	if (timerfd_settime(i->timer_fd, 0, &timer, NULL) < 0)
		return WAIT_POLL;
	i->armed = first->due;
	return i->timer_fd;
}

static void
impairment_close(struct port *port)
{
	struct impairment *i = (struct impairment *)port;
	struct engine *e = current_engine(i);
	struct rte_mbuf *m;

	__atomic_fetch_sub(&i->info->held, queue_count(&e->queue), __ATOMIC_RELAXED);
	while ((m = queue_pop(&e->queue, UINT64_MAX)) != NULL)
		rte_pktmbuf_free(m);
	engine_free(e);
	close(i->timer_fd);
}

static const struct port_ops impairment_ops = {
	.rx_burst = impairment_rx,
	.tx_burst = impairment_tx,
	.close = impairment_close,
	.arm = impairment_arm,
};

/* A lab never holds more than held_limit frames, so a queue needs no more room. */
static uint32_t
capacity_for(const struct shared *info, const struct impair_parameters *p)
{
	return (uint32_t)RTE_MIN(p->value[IMPAIR_LIMIT], (uint64_t)info->held_limit);
}

/* Return 0 after initializing the members, or -1. */
static int
set_up(struct impairment *i, const struct shared_view *view, const struct impair_parameters *p)
{
	i->info = view->info;
	i->pool = view->pool;
	i->hz = rte_get_tsc_hz() != 0 ? rte_get_tsc_hz() : NS_PER_S; /* unit tests have no EAL */
	i->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
	if (i->timer_fd < 0) {
		log_line("cannot create a timer for an impairment");
		return -1;
	}
	i->engine = engine_new(p, i->hz, capacity_for(i->info, p));
	i->used = i->engine;
	if (i->engine != NULL)
		return 0;
	log_line("no memory for an impairment");
	close(i->timer_fd);
	return -1;
}

struct impairment *
impairment_new(const struct port *src, const struct shared_view *view,
		const struct impair_parameters *p)
{
	struct impairment *i;

	if (view->info->held_limit == 0) {
		log_line("this lab cannot hold frames: its primary runs with --held-frames 0");
		return NULL;
	}
	i = port_alloc(sizeof(*i), src->id, &impairment_ops);
	if (i == NULL)
		return NULL;
	if (set_up(i, view, p) < 0) {
		free(i);
		return NULL;
	}
	i->next = all;
	all = i;
	return i;
}

int
impairment_change(struct impairment *i, const struct impair_parameters *p)
{
	struct engine *old = i->engine, *e;
	uint32_t capacity = capacity_for(i->info, p);

	e = engine_new(p, i->hz, capacity > old->queue.capacity ? capacity : 0);
	if (e == NULL) {
		log_line("no memory for an impairment");
		return -1;
	}
	__atomic_store_n(&i->engine, e, __ATOMIC_RELEASE);
	/* After the first call each worker sees the new engine, and after the second one it has
	 * polled each of its ports once more.
	 */
	workers_synchronize();
	workers_synchronize();
	current_engine(i); /* while the process is stopped, no worker has adopted it */
	engine_free(old);
	return 0;
}

static void
mark(const struct port *src)
{
	unsigned int k;

	if (src->impairment != NULL)
		src->impairment->has_patch = true;
	for (k = 0; src->rules != NULL && k < src->rules->n; k++)
		if (src->rules->rule[k].impairment != NULL)
			src->rules->rule[k].impairment->has_patch = true;
}

void
impairments_release_unused(const struct port_table *ports)
{
	struct impairment *i, **link;
	unsigned int k;

	for (i = all; i != NULL; i = i->next)
		i->has_patch = false;
	for (k = 0; all != NULL && k < ports->n; k++)
		mark(ports->port[k]);
	for (link = &all; (i = *link) != NULL;) {
		if (i->has_patch) {
			link = &i->next;
			continue;
		}
		*link = i->next;
		port_close(&i->port);
	}
}

const struct impair_parameters *
impairment_parameters(const struct impairment *i)
{
	return &i->engine->parameters;
}

const struct impairment_counters *
impairment_counters(const struct impairment *i)
{
	return &i->counters;
}

struct port *
impairment_port(struct impairment *i)
{
	return &i->port;
}
