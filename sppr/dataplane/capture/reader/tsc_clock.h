/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CAPTURE_READER_TSC_CLOCK_H
#define CAPTURE_READER_TSC_CLOCK_H

#include <stdint.h>

/* Converts TSC values to nanoseconds since the epoch. All processes of a machine share the TSC, so
 * one clock serves all rings. The rate is measured against CLOCK_MONOTONIC, which follows NTP and
 * never jumps; a step of CLOCK_REALTIME during a capture is ignored.
 */
struct tsc_sample {
	uint64_t tsc;
	uint64_t ns; /* CLOCK_MONOTONIC */
};

struct tsc_clock {
	struct tsc_sample base;	      /* the rate is measured from here */
	struct tsc_sample last;	      /* times are relative to this */
	uint64_t epoch_ns;	      /* CLOCK_REALTIME minus CLOCK_MONOTONIC, at the start */
	unsigned __int128 ns_per_tsc; /* times 2^TSC_CLOCK_SHIFT */
};

#define TSC_CLOCK_SHIFT 40

static inline uint64_t
tsc_now(void)
{
	return __builtin_ia32_rdtsc();
}

void tsc_clock_start(struct tsc_clock *c);

/* Measure again. Call it every 100 ms or so, and before the first conversion. */
void tsc_clock_refresh(struct tsc_clock *c);

uint64_t tsc_clock_to_ns(const struct tsc_clock *c, uint64_t tsc);

/* Return the TSC at this CLOCK_MONOTONIC. */
uint64_t tsc_clock_from_monotonic(const struct tsc_clock *c, uint64_t ns);

/* Return how many TSC ticks these milliseconds are. */
uint64_t tsc_clock_ticks(const struct tsc_clock *c, uint64_t ms);

/* The parts of refresh, for tests. */
void tsc_clock_add(struct tsc_clock *c, struct tsc_sample sample);

#endif
