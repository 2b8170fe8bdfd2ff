/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_branch_prediction.h>
#include <rte_cycles.h>
#include <rte_prefetch.h>

#include "probe/source.h"

#define PACE_BITS 16   /* fraction of a TSC cycle, for an exact rate */
#define SMALL_FRAME 64 /* copied with a constant size */
#define PREFETCH 4     /* number of frames */

/* The simple IMIX: 7 frames of the smallest size, 4 of 570 bytes and 1 of 1518. */
static const uint8_t imix[] = { 0, 1, 0, 0, 1, 0, 1, 0, 0, 1, 0, 2 };
#define IMIX_MIDDLE 570
#define IMIX_LARGE 1518
#define MS_PER_SECOND 1000
#define STALL_TIMEOUT_MS 1000 /* the frames in flight count as lost */

void
probe_source_stop(struct probe_source *s)
{
	__atomic_store_n(&s->counters->running, false, __ATOMIC_RELEASE);
}

/* Limit n to the frames that are due. A source that was not polled for more than a second does not
 * make up for earlier time.
 */
static inline uint64_t
paced(struct probe_source *s, uint64_t now, uint64_t n)
{
	uint64_t due;

	if ((int64_t)(now - s->next_tsc) < 0)
		return 0;
	due = ((RTE_MIN(now - s->next_tsc, s->hz)) << PACE_BITS) / s->interval + 1;
	if (due - 1 > s->counters->behind)
		s->counters->behind = due - 1;
	if (unlikely(now - s->next_tsc > s->hz))
		s->next_tsc = now - s->hz;
	return RTE_MIN(n, due);
}

/* Limit n to the window, so that a path that stalls (a guest without CPU time) loses no frames in a
 * full queue. Frames above the highest received number are in flight. Missing frames below it are
 * lost.
 */
static uint64_t
windowed(struct probe_source *s, uint64_t now, uint64_t n)
{
	uint64_t arrived = (uint64_t)(__atomic_load_n(s->highest, __ATOMIC_RELAXED) + 1);

	if (arrived > s->arrived) {
		s->arrived = arrived;
		s->progress_tsc = now;
	} else if (now - s->progress_tsc > s->hz / MS_PER_SECOND * STALL_TIMEOUT_MS) {
		s->arrived = s->counters->sent;
		s->progress_tsc = now;
	}
	if (s->counters->sent - s->arrived >= s->window)
		return 0;
	return RTE_MIN(n, s->window - (s->counters->sent - s->arrived));
}

static inline uint16_t
frames_due(struct probe_source *s, uint16_t wanted)
{
	uint64_t n = RTE_MIN(wanted, s->left), now = rte_rdtsc();

	if (unlikely(!s->polled)) {
		s->polled = true;
		s->counters->first_tsc = now;
		s->next_tsc = now;
		s->progress_tsc = now;
		s->end_tsc = s->duration == UINT64_MAX ? UINT64_MAX : now + s->duration;
	}
	if (unlikely(now >= s->end_tsc)) {
		probe_source_stop(s);
		return 0;
	}
	if (s->interval != 0)
		n = paced(s, now, n);
	if (s->highest != NULL && n > 0)
		n = windowed(s, now, n);
	return (uint16_t)n;
}

static inline void
make_small(struct probe_source *s, struct rte_mbuf **bufs, uint16_t n)
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

static inline const struct probe_template *
next_template(const struct probe_source *s)
{
	unsigned int which = s->imix ? imix[s->sequence % RTE_DIM(imix)] : 0;

	return which == 0 ? &s->template : &s->mix[which - 1];
}

/* Make a frame of one or more mbufs. Return NULL if the pool has too few. */
static struct rte_mbuf *
make_large(struct probe_source *s)
{
	const struct probe_template *t = next_template(s);
	struct rte_mbuf *segment[PROBE_SIZE_MAX / PROBE_HEADERS_MAX + 1];
	unsigned int n = (t->len + s->room - 1U) / s->room, i, at = 0, len;

	if (rte_pktmbuf_alloc_bulk(s->pool, segment, n) != 0)
		return NULL;
	for (i = 0; i < n; i++) {
		len = RTE_MIN((unsigned int)s->room, t->len - at);
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
make_frames(struct probe_source *s, struct rte_mbuf **bufs, uint16_t n)
{
	uint16_t i;

	if (likely(s->template.len <= SMALL_FRAME && !s->imix)) {
		if (rte_pktmbuf_alloc_bulk(s->pool, bufs, n) != 0)
			return 0;
		make_small(s, bufs, n);
		return n;
	}
	for (i = 0; i < n; i++) {
		bufs[i] = make_large(s);
		if (bufs[i] == NULL)
			break;
	}
	return i;
}

/* Advance the pace and the count by the frames that were made. */
static inline void
account(struct probe_source *s, uint16_t made)
{
	struct probe_source_counters *c = s->counters;
	uint64_t moved;

	c->last_tsc = rte_rdtsc();
	c->sent += made;
	moved = s->fraction + made * s->interval;
	s->next_tsc += moved >> PACE_BITS;
	s->fraction = moved & ((1U << PACE_BITS) - 1);
	s->left -= made;
	if (unlikely(s->left == 0))
		probe_source_stop(s);
}

uint16_t
probe_source_make(struct probe_source *s, struct rte_mbuf **bufs, uint16_t n)
{
	uint16_t due, made;

	due = frames_due(s, n);
	if (due == 0)
		return 0;
	made = make_frames(s, bufs, due);
	if (unlikely(made < due))
		s->counters->no_mbuf++;
	if (likely(made > 0))
		account(s, made);
	return made;
}

void
probe_source_open(struct probe_source *s, struct probe_source_counters *counters,
		struct rte_mempool *pool, uint64_t hz)
{
	memset(counters, 0, sizeof(*counters));
	s->counters = counters;
	s->pool = pool;
	s->hz = hz;
	s->room = RTE_MBUF_DEFAULT_DATAROOM; /* unit tests have no pool */
	if (pool != NULL)
		s->room = (uint16_t)(rte_pktmbuf_data_room_size(pool) - RTE_PKTMBUF_HEADROOM);
}

void
probe_source_start(struct probe_source *s, const struct probe_run *run, const int64_t *highest)
{
	struct probe_shape shape = run->shape;

	memset(s->counters, 0, sizeof(*s->counters));
	s->polled = false;
	s->sequence = 0;
	s->fraction = 0;
	s->interval = run->rate > 0 ? (s->hz << PACE_BITS) / run->rate : 0;
	s->left = run->count > 0 ? run->count : UINT64_MAX;
	s->window = run->window;
	s->highest = run->window > 0 ? highest : NULL;
	s->arrived = 0;
	s->duration = UINT64_MAX;
	if (run->time_ms > 0)
		s->duration = s->hz / MS_PER_SECOND * run->time_ms;
	s->imix = run->imix;
	probe_template_make(&s->template, &shape);
	if (run->imix) {
		shape.size = IMIX_MIDDLE;
		probe_template_make(&s->mix[0], &shape);
		shape.size = IMIX_LARGE;
		probe_template_make(&s->mix[1], &shape);
	}
	__atomic_store_n(&s->counters->running, true, __ATOMIC_RELEASE);
}
