/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PROBE_SINK_H
#define PROBE_SINK_H

#include "probe/frame.h"
#include "probe/slot.h"
#include "probe/stats/sequence.h"

/* Check the frames that a probe receives. The control thread writes this struct only while `ready`
 * is false and every worker has seen that.
 */
struct probe_sink {
	struct probe_sink_counters *counters;
	uint64_t ns_per_tick; /* shifted left by LATENCY_SHIFT */
	bool ready;
	struct probe_expected expected;
	struct probe_sequence sequence;
} __rte_cache_aligned;

/* Prepare a sink that expects nothing. */
void probe_sink_open(struct probe_sink *s, struct probe_sink_counters *counters, uint64_t hz);

/* Reset the counters and set what to expect. Waits until no worker uses the sink. */
void probe_sink_expect(struct probe_sink *s, const struct probe_expected *expected);

/* Count n frames. Runs on the worker that fills the probe. */
void probe_sink_check(struct probe_sink *s, struct rte_mbuf *const *bufs, uint16_t n);

#endif
