/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PROBE_STATS_HISTOGRAM_H
#define PROBE_STATS_HISTOGRAM_H

#include <stdint.h>

/* A log-linear (HDR) histogram of nanoseconds. It has one bucket for each value below 128, then 64
 * buckets for each power of two, so a bucket is at most 1/64 of its values wide. Values from 2^36
 * ns (69 s) are in the last bucket. One thread writes, any may read.
 */
#define PROBE_EXACT 128
#define PROBE_STEPS 64
#define PROBE_STEPS_LOG2 6
#define PROBE_LIMIT_LOG2 36
#define PROBE_BUCKETS (PROBE_EXACT + (PROBE_LIMIT_LOG2 - PROBE_STEPS_LOG2 - 1) * PROBE_STEPS)

struct probe_histogram {
	uint64_t samples;
	uint64_t sum;
	uint64_t min; /* UINT64_MAX without samples */
	uint64_t max;
	uint64_t bucket[PROBE_BUCKETS];
};

void probe_histogram_reset(struct probe_histogram *h);

static inline unsigned int
probe_histogram_index(uint64_t value)
{
	unsigned int log2;

	if (value < PROBE_EXACT)
		return (unsigned int)value;
	if (value >> PROBE_LIMIT_LOG2 != 0)
		return PROBE_BUCKETS - 1;
	log2 = 63U - (unsigned int)__builtin_clzll(value);
	return PROBE_EXACT + (log2 - PROBE_STEPS_LOG2 - 1) * PROBE_STEPS +
	       (unsigned int)((value >> (log2 - PROBE_STEPS_LOG2)) % PROBE_STEPS);
}

static inline void
probe_histogram_add(struct probe_histogram *h, uint64_t value)
{
	h->bucket[probe_histogram_index(value)]++;
	h->samples++;
	h->sum += value;
	if (value < h->min)
		h->min = value;
	if (value > h->max)
		h->max = value;
}

/* The lowest value of a bucket. For PROBE_BUCKETS, the end of the last bucket. */
uint64_t probe_histogram_lowest(unsigned int index);

/* The value that `permille` of 1000 samples do not exceed, with an error of half a bucket (0.8 %)
 * at most. 0 without samples.
 */
uint64_t probe_histogram_percentile(const struct probe_histogram *h, unsigned int permille);

#endif
