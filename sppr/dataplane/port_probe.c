/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_branch_prediction.h>
#include <rte_cycles.h>
#include <rte_prefetch.h>

#include "forward.h"
#include "port_probe.h"
#include "probe_sequence.h"
#include "say.h"

#define PACE_BITS 16	 /* of a TSC cycle's fraction, so that the rate is exact */
#define SMALL_FRAME 64	 /* copied with a constant size */
#define PREFETCH 4	 /* frames ahead */
#define LATENCY_SHIFT 32 /* of ns_per_tick */

/* What the worker that polls the probe needs. The control thread writes it while
 * probe_slot.source.running is false and every worker has seen that.
 */
struct source {
	bool polled; /* since the start: the clock of the run runs */
	uint32_t sequence;
	uint32_t fraction; /* of next_tsc, 1 / 2^PACE_BITS */
	uint64_t next_tsc; /* the next frame is due */
	uint64_t interval; /* between two frames, in 1 / 2^PACE_BITS cycles; 0: no pace */
	uint64_t left;	   /* frames */
	uint64_t end_tsc;
	uint64_t duration; /* UINT64_MAX: no limit */
	struct probe_template template;
} __rte_cache_aligned;

/* What the worker that fills the probe needs; `ready` is false while the control thread writes. */
struct sink {
	bool ready;
	struct probe_expected expected;
	struct probe_sequence sequence;
} __rte_cache_aligned;

struct port_probe {
	struct port port;
	struct probe_slot *slot;
	struct rte_mempool *pool;
	uint64_t hz;
	uint64_t ns_per_tick; /* shifted left by LATENCY_SHIFT */
	uint16_t room;	      /* bytes in an mbuf */
	struct source source;
	struct sink sink;
};

/* Without EAL, in unit tests, the frequency is unknown. */
static uint64_t
tsc_hz(void)
{
	uint64_t hz = rte_get_tsc_hz();

	return hz != 0 ? hz : NS_PER_S;
}

static inline uint64_t
scale(uint64_t value, uint64_t factor, uint64_t divisor)
{
	return (uint64_t)((unsigned __int128)value * factor / divisor);
}

uint64_t
probe_tsc_to_ns(uint64_t tsc)
{
	return scale(tsc, NS_PER_S, tsc_hz());
}

static void
end_run(struct probe_source *c)
{
	__atomic_store_n(&c->running, false, __ATOMIC_RELEASE);
}

/* How many of n frames the pace permits now. A source that was not read for more than a second
 * does not make up for the time before that second.
 */
static inline uint64_t
paced(struct port_probe *p, uint64_t now, uint64_t n)
{
	struct source *s = &p->source;
	uint64_t due;

	if ((int64_t)(now - s->next_tsc) < 0)
		return 0;
	due = ((RTE_MIN(now - s->next_tsc, p->hz)) << PACE_BITS) / s->interval + 1;
	if (due - 1 > p->slot->source.behind)
		p->slot->source.behind = due - 1;
	if (unlikely(now - s->next_tsc > p->hz))
		s->next_tsc = now - p->hz;
	return RTE_MIN(n, due);
}

static inline uint16_t
frames_due(struct port_probe *p, uint16_t wanted)
{
	struct source *s = &p->source;
	uint64_t n = RTE_MIN(wanted, s->left), now = rte_rdtsc();

	if (unlikely(!s->polled)) {
		s->polled = true;
		s->next_tsc = now;
		s->end_tsc = s->duration == UINT64_MAX ? UINT64_MAX : now + s->duration;
	}
	if (unlikely(now >= s->end_tsc)) {
		end_run(&p->slot->source);
		return 0;
	}
	return (uint16_t)(s->interval != 0 ? paced(p, now, n) : n);
}

static inline void
make_small(struct source *s, struct rte_mbuf **bufs, uint16_t n)
{
	const struct probe_template *t = &s->template;
	uint8_t *head;
	uint16_t i;

	for (i = 0; i < n; i++) {
		if (i + PREFETCH < n)
			rte_prefetch0(rte_pktmbuf_mtod(bufs[i + PREFETCH], void *));
		head = rte_pktmbuf_mtod(bufs[i], uint8_t *);
		bufs[i]->data_len = t->len;
		bufs[i]->pkt_len = t->len;
		memcpy(head, t->bytes, SMALL_FRAME);
		probe_frame_stamp(t, head, s->sequence++, rte_rdtsc());
	}
}

/* A frame of one or more mbufs; NULL when the pool has too few. */
static struct rte_mbuf *
make_large(struct port_probe *p)
{
	struct source *s = &p->source;
	const struct probe_template *t = &s->template;
	struct rte_mbuf *segment[PROBE_SIZE_MAX / PROBE_HEADERS_MAX + 1];
	unsigned int n = (t->len + p->room - 1U) / p->room, i, at = 0, len;

	if (rte_pktmbuf_alloc_bulk(p->pool, segment, n) != 0)
		return NULL;
	for (i = 0; i < n; i++) {
		len = RTE_MIN((unsigned int)p->room, t->len - at);
		memcpy(rte_pktmbuf_mtod(segment[i], void *), t->bytes + at, len);
		segment[i]->data_len = (uint16_t)len;
		segment[i]->next = i + 1 < n ? segment[i + 1] : NULL;
		at += len;
	}
	segment[0]->nb_segs = (uint16_t)n;
	segment[0]->pkt_len = t->len;
	probe_frame_stamp(t, rte_pktmbuf_mtod(segment[0], uint8_t *), s->sequence++, rte_rdtsc());
	return segment[0];
}

static inline uint16_t
make_frames(struct port_probe *p, struct rte_mbuf **bufs, uint16_t n)
{
	uint16_t i;

	if (likely(p->source.template.len <= SMALL_FRAME)) {
		if (rte_pktmbuf_alloc_bulk(p->pool, bufs, n) != 0)
			return 0;
		make_small(&p->source, bufs, n);
		return n;
	}
	for (i = 0; i < n; i++) {
		bufs[i] = make_large(p);
		if (bufs[i] == NULL)
			break;
	}
	return i;
}

/* Move the pace and the count on by what was made. */
static inline void
account(struct port_probe *p, uint16_t made)
{
	struct source *s = &p->source;
	struct probe_source *c = &p->slot->source;
	uint64_t moved;

	c->last_tsc = rte_rdtsc();
	if (unlikely(c->first_tsc == 0))
		c->first_tsc = c->last_tsc;
	c->sent += made;
	moved = s->fraction + made * s->interval;
	s->next_tsc += moved >> PACE_BITS;
	s->fraction = moved & ((1U << PACE_BITS) - 1);
	s->left -= made;
	if (unlikely(s->left == 0))
		end_run(c);
}

static uint16_t
probe_rx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	struct port_probe *p = (struct port_probe *)port;
	uint16_t due, made;

	if (!__atomic_load_n(&p->slot->source.running, __ATOMIC_ACQUIRE))
		return 0;
	due = frames_due(p, n);
	if (due == 0)
		return 0;
	made = make_frames(p, bufs, due);
	if (unlikely(made < due))
		p->slot->source.no_mbuf++;
	if (likely(made > 0))
		account(p, made);
	return made;
}

/* Clocks of two CPUs may differ by some cycles: a frame from the future took no time. */
static inline uint64_t
latency_ns(const struct port_probe *p, uint64_t now, uint64_t then)
{
	uint64_t ticks = (now - then) & PROBE_TSC_MASK;

	if (unlikely(ticks >> (PROBE_TSC_BITS - 1) != 0))
		return 0;
	return (uint64_t)((unsigned __int128)ticks * p->ns_per_tick >> LATENCY_SHIFT);
}

static inline void
count_good(struct port_probe *p, const struct probe_stamp *stamp, uint64_t now)
{
	struct probe_sink *c = &p->slot->sink;
	enum probe_order order = probe_sequence_take(&p->sink.sequence, stamp->sequence);

	if (unlikely(order == PROBE_DUPLICATE)) {
		c->duplicate++;
		return;
	}
	c->reordered += order != PROBE_IN_ORDER;
	if (unlikely(order == PROBE_LATE)) {
		c->late++;
		return;
	}
	c->received++;
	c->highest = p->sink.sequence.highest;
	probe_histogram_add(&c->latency, latency_ns(p, now, stamp->tsc));
}

static inline void
judge(struct port_probe *p, const struct rte_mbuf *m, uint64_t now)
{
	struct probe_sink *c = &p->slot->sink;
	struct probe_stamp stamp;

	switch (probe_frame_check(&p->sink.expected, m, &stamp)) {
	case PROBE_GOOD:
		count_good(p, &stamp, now);
		break;
	case PROBE_MISDELIVERED:
		c->misdelivered++;
		break;
	case PROBE_CORRUPT:
		c->corrupt++;
		break;
	case PROBE_FOREIGN:
		c->foreign++;
		break;
	}
}

static uint16_t
probe_tx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	struct port_probe *p = (struct port_probe *)port;
	uint64_t now = rte_rdtsc();
	uint16_t i;

	if (likely(__atomic_load_n(&p->sink.ready, __ATOMIC_ACQUIRE))) {
		for (i = 0; i < n; i++) {
			if (i + PREFETCH < n)
				rte_prefetch0(rte_pktmbuf_mtod(bufs[i + PREFETCH], void *));
			judge(p, bufs[i], now);
		}
	}
	rte_pktmbuf_free_bulk(bufs, n);
	return n;
}

/* probe_start wakes the worker. */
static int
probe_arm(struct port *port, uint64_t waker)
{
	const struct port_probe *p = (const struct port_probe *)port;

	(void)waker;
	return __atomic_load_n(&p->slot->source.running, __ATOMIC_ACQUIRE) ? WAIT_POLL : WAIT_NONE;
}

static void
probe_close(struct port *port)
{
	struct port_probe *p = (struct port_probe *)port;

	end_run(&p->slot->source);
	shared_release(&p->slot->process);
}

static const struct port_ops probe_ops = {
	.rx_burst = probe_rx,
	.tx_burst = probe_tx,
	.close = probe_close,
	.arm = probe_arm,
};

void
probe_start(struct port *port, const struct probe_run *run)
{
	struct port_probe *p = (struct port_probe *)port;
	struct source *s = &p->source;

	probe_stop(port);
	memset(&p->slot->source, 0, sizeof(p->slot->source));
	s->polled = false;
	s->sequence = 0;
	s->fraction = 0;
	s->interval = run->rate > 0 ? (p->hz << PACE_BITS) / run->rate : 0;
	s->left = run->count > 0 ? run->count : UINT64_MAX;
	s->duration = run->time_ms > 0 ? scale(run->time_ms, p->hz, 1000) : UINT64_MAX;
	probe_template_make(&s->template, &run->shape);
	__atomic_store_n(&p->slot->source.running, true, __ATOMIC_RELEASE);
	forward_wake();
}

void
probe_stop(struct port *port)
{
	end_run(&((struct port_probe *)port)->slot->source);
	forward_synchronize();
}

static void
reset_sink(struct port_probe *p, const struct probe_expected *expected)
{
	__atomic_store_n(&p->sink.ready, false, __ATOMIC_RELEASE);
	forward_synchronize();
	memset(&p->slot->sink, 0, offsetof(struct probe_sink, latency));
	p->slot->sink.highest = -1;
	probe_histogram_reset(&p->slot->sink.latency);
	probe_sequence_reset(&p->sink.sequence);
	p->sink.expected = *expected;
	__atomic_store_n(&p->sink.ready, true, __ATOMIC_RELEASE);
}

void
probe_expect(struct port *port, uint16_t flow, uint32_t key)
{
	struct probe_expected expected = { .any = true, .flow = flow, .key = key };

	reset_sink((struct port_probe *)port, &expected);
}

const struct probe_slot *
probe_slot_of(const struct port *port)
{
	return ((const struct port_probe *)port)->slot;
}

static int
take_slot(struct probe_slot *slot, struct uid uid)
{
	bool inherited;
	pid_t other = shared_hold(&slot->process, &inherited);

	if (other == 0)
		return 0;
	say("probe:%u: process %d has it; each probe number exists once in a lab", uid.number,
			other);
	return -1;
}

struct port *
port_probe_open(const struct port_env *env, struct uid uid)
{
	static const struct probe_expected nothing;
	struct port_probe *p;

	if (uid.number >= MAX_PROBES) {
		say("probe:%u: probes are probe:0 to probe:%d", uid.number, MAX_PROBES - 1);
		return NULL;
	}
	if (take_slot(&env->view->info->probe[uid.number], uid) < 0)
		return NULL;
	p = port_alloc(sizeof(*p), uid, &probe_ops);
	if (p == NULL) {
		shared_release(&env->view->info->probe[uid.number].process);
		return NULL;
	}
	p->slot = &env->view->info->probe[uid.number];
	p->pool = env->view->pool;
	p->room = p->pool != NULL ? (uint16_t)(rte_pktmbuf_data_room_size(p->pool) -
						    RTE_PKTMBUF_HEADROOM)
				  : RTE_MBUF_DEFAULT_DATAROOM;
	p->hz = tsc_hz();
	p->ns_per_tick = scale(1ULL << LATENCY_SHIFT, NS_PER_S, p->hz);
	memset(&p->slot->source, 0, sizeof(p->slot->source));
	reset_sink(p, &nothing);
	return &p->port;
}
