/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PROBE_SLOT_H
#define PROBE_SLOT_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_common.h>

#include "probe/stats/histogram.h"
#include "shm/process_id.h"

#define MAX_PROBES 32 /* in a lab: probe:0 to probe:31 */

/* The worker that polls the probe writes these while the source runs. */
struct probe_source_counters {
	bool running;
	uint64_t sent;
	uint64_t first_tsc; /* start of the first burst; 0: not polled yet */
	uint64_t last_tsc;  /* end of the last burst */
	uint64_t behind;    /* the most frames that were late at once */
	uint64_t no_mbuf;   /* how often the pool had no mbufs */
} __rte_cache_aligned;

/* The worker that fills the probe writes these. */
struct probe_sink_counters {
	uint64_t received; /* good frames, each sequence number once */
	uint64_t reordered;
	uint64_t late;
	uint64_t duplicate;
	uint64_t corrupt;
	uint64_t foreign;
	uint64_t misdelivered;
	int64_t highest; /* sequence number; -1: none */
	struct probe_histogram latency;
} __rte_cache_aligned;

/* The counters of one probe in shared memory. Telemetry of the primary reads them. */
struct probe_slot {
	process_id process; /* the process that owns this probe */
	struct probe_source_counters source;
	struct probe_sink_counters sink;
} __rte_cache_aligned;

#endif
