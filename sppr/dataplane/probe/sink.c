/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_branch_prediction.h>
#include <rte_cycles.h>
#include <rte_prefetch.h>

#include "forward/worker.h"
#include "probe/sink.h"

#define PREFETCH 4	 /* number of frames */
#define LATENCY_SHIFT 32 /* of ns_per_tick */

/* The clocks of two CPUs may differ by some cycles, so a negative latency counts as 0. */
static inline uint64_t
latency_ns(const struct probe_sink *s, uint64_t now, uint64_t then)
{
	uint64_t ticks = (now - then) & PROBE_TSC_MASK;

	if (unlikely(ticks >> (PROBE_TSC_BITS - 1) != 0))
		return 0;
	return (uint64_t)((unsigned __int128)ticks * s->ns_per_tick >> LATENCY_SHIFT);
}

static inline void
count_good(struct probe_sink *s, const struct probe_stamp *stamp, uint64_t now)
{
	struct probe_sink_counters *c = s->counters;
	enum probe_order order = probe_sequence_take(&s->sequence, stamp->sequence);

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
	c->highest = s->sequence.highest;
	probe_histogram_add(&c->latency, latency_ns(s, now, stamp->tsc));
}

static inline void
judge(struct probe_sink *s, const struct rte_mbuf *m, uint64_t now)
{
	struct probe_sink_counters *c = s->counters;
	struct probe_stamp stamp;

	switch (probe_frame_check(&s->expected, m, &stamp)) {
	case PROBE_GOOD:
		count_good(s, &stamp, now);
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

void
probe_sink_check(struct probe_sink *s, struct rte_mbuf *const *bufs, uint16_t n)
{
	uint64_t now = rte_rdtsc();
	uint16_t i;

	if (unlikely(!__atomic_load_n(&s->ready, __ATOMIC_ACQUIRE)))
		return;
	for (i = 0; i < n; i++) {
		if (i + PREFETCH < n)
			rte_prefetch0(rte_pktmbuf_mtod(bufs[i + PREFETCH], void *));
		judge(s, bufs[i], now);
	}
}

void
probe_sink_expect(struct probe_sink *s, const struct probe_expected *expected)
{
	__atomic_store_n(&s->ready, false, __ATOMIC_RELEASE);
	workers_synchronize();
	memset(s->counters, 0, offsetof(struct probe_sink_counters, latency));
	s->counters->highest = -1;
	probe_histogram_reset(&s->counters->latency);
	probe_sequence_reset(&s->sequence);
	s->expected = *expected;
	__atomic_store_n(&s->ready, true, __ATOMIC_RELEASE);
}

void
probe_sink_open(struct probe_sink *s, struct probe_sink_counters *counters, uint64_t hz)
{
	static const struct probe_expected nothing;

	s->counters = counters;
	s->ns_per_tick = (uint64_t)(((unsigned __int128)NS_PER_S << LATENCY_SHIFT) / hz);
	probe_sink_expect(s, &nothing);
}
