/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PROBE_SOURCE_H
#define PROBE_SOURCE_H

#include "probe/frame.h"
#include "probe/slot.h"

/* The parameters of a run. */
struct probe_run {
	struct probe_shape shape;
	bool imix;	  /* frames of three sizes in turns */
	uint64_t rate;	  /* frames per second; 0: as fast as the worker polls */
	uint64_t count;	  /* frames; 0: no limit */
	uint64_t time_ms; /* from the first poll; 0: no limit */
	uint64_t window;  /* limit of the frames in flight; 0: no limit */
	uint16_t peer;	  /* the probe that receives the frames, for the window */
};

/* Make the frames of a probe. The control thread writes this struct only while counters->running is
 * false and every worker has seen that.
 */
struct probe_source {
	struct probe_source_counters *counters;
	struct rte_mempool *pool;
	uint64_t hz;
	uint16_t room; /* bytes in an mbuf */
	bool polled;   /* since the start of the run */
	uint32_t sequence;
	uint32_t fraction; /* of next_tsc, 1 / 2^PACE_BITS */
	uint64_t next_tsc; /* when the next frame is due */
	uint64_t interval; /* between two frames, in 1 / 2^PACE_BITS cycles; 0: no pace */
	uint64_t left;	   /* number of frames */
	uint64_t end_tsc;
	uint64_t duration; /* UINT64_MAX: no limit */
	uint64_t window;
	const int64_t *highest; /* sequence number at the peer, -1: none; NULL: no window */
	uint64_t arrived;	/* frames below this number are not in flight */
	uint64_t progress_tsc;
	bool imix;
	struct probe_template template;
	struct probe_template mix[2]; /* the other sizes of IMIX */
} __rte_cache_aligned;

void probe_source_open(struct probe_source *s, struct probe_source_counters *counters,
		struct rte_mempool *pool, uint64_t hz);

/* Reset the counters and start. The source must be stopped, and the workers must have seen that.
 * highest is the counter of the peer's sink, which another process may write; NULL without a
 * window.
 */
void probe_source_start(
		struct probe_source *s, const struct probe_run *run, const int64_t *highest);

void probe_source_stop(struct probe_source *s);

static inline bool
probe_source_running(const struct probe_source *s)
{
	return __atomic_load_n(&s->counters->running, __ATOMIC_ACQUIRE);
}

/* Make up to n frames that are due. Runs on the worker that polls the probe. */
uint16_t probe_source_make(struct probe_source *s, struct rte_mbuf **bufs, uint16_t n);

#endif
