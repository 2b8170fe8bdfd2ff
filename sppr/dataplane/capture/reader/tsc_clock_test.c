/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/check.h"
#include "capture/reader/tsc_clock.h"

#define HOUR_NS 3600000000000ULL
#define SAMPLE_NS 100000000ULL

/* The time that a TSC of 2.345678 GHz, which drifts, has after some nanoseconds. */
static uint64_t
tsc_at(uint64_t ns)
{
	return (uint64_t)((unsigned __int128)ns * 2345678 / 1000000) + ns / 3600 / 1000000;
}

static uint64_t
distance(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/* Samples every 100 ms for three hours: records are at most 1 us off, also between the samples. */
static void
test_hours(void)
{
	struct tsc_clock c = { .base = { tsc_at(1), 1 }, .last = { tsc_at(1), 1 }, .epoch_ns = 7 };
	uint64_t ns, later;

	for (ns = SAMPLE_NS; ns < 3 * HOUR_NS; ns += SAMPLE_NS) {
		tsc_clock_add(&c, (struct tsc_sample){ tsc_at(ns), ns });
		later = ns + SAMPLE_NS;
		CHECK(distance(tsc_clock_to_ns(&c, tsc_at(later)), later + 7) < 1000);
		CHECK(distance(tsc_clock_from_monotonic(&c, later), tsc_at(later)) < 10000);
		CHECK(distance(tsc_clock_from_monotonic(&c, ns - 5000), tsc_at(ns - 5000)) < 10000);
		CHECK(distance(tsc_clock_to_ns(&c, tsc_at(ns - SAMPLE_NS / 2)),
				      ns - SAMPLE_NS / 2 + 7) < 1000);
	}
}

/* The reader was stopped for an hour; records of the time before are still in the ring. */
static void
test_gap(void)
{
	struct tsc_clock c = { .base = { tsc_at(1), 1 }, .last = { tsc_at(1), 1 } };

	tsc_clock_add(&c, (struct tsc_sample){ tsc_at(SAMPLE_NS), SAMPLE_NS });
	tsc_clock_add(&c, (struct tsc_sample){ tsc_at(HOUR_NS), HOUR_NS });
	CHECK(distance(tsc_clock_to_ns(&c, tsc_at(SAMPLE_NS)), SAMPLE_NS) < 1000);
}

static void
test_real_clock(void)
{
	struct tsc_clock c;

	tsc_clock_start(&c);
	CHECK(tsc_clock_ticks(&c, 100) > 10000000); /* 100 MHz or more */
	CHECK(tsc_clock_to_ns(&c, tsc_now()) > 1500000000000000000ULL);
}

int
main(void)
{
	test_hours();
	test_gap();
	test_real_clock();
	return 0;
}
