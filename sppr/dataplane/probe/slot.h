/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PROBE_SLOT_H
#define PROBE_SLOT_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_common.h>

#include "probe/stats/histogram.h"
#include "shm/process_id.h"

#define MAX_PROBES 32 /* of a lab: probe:0 to probe:31 */

/* Written by the worker that polls the probe, while it runs. */
struct probe_source_counters {
	bool running;
	uint64_t sent;
	uint64_t first_tsc; /* the start of the first burst; 0: not read yet */
	uint64_t last_tsc;  /* the end of the last burst */
	uint64_t behind;    /* the most frames it was behind its rate */
	uint64_t no_mbuf;   /* how often the pool had no mbufs for it */
} __rte_cache_aligned;

/* Written by the worker that fills the probe. */
struct probe_sink_counters {
	uint64_t received; /* distinct good frames */
	uint64_t reordered;
	uint64_t late;
	uint64_t duplicate;
	uint64_t corrupt;
	uint64_t foreign;
	uint64_t misdelivered;
	int64_t highest; /* sequence number; -1: none */
	struct probe_histogram latency;
} __rte_cache_aligned;

/* The counters of one probe, in shared memory: telemetry of the primary reads them. */
struct probe_slot {
	process_id process; /* which one has this probe */
	struct probe_source_counters source;
	struct probe_sink_counters sink;
} __rte_cache_aligned;

#endif
