/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/check.h"
#include "probe/stats/histogram.h"

static struct probe_histogram h;

/* Each value lies in its bucket, and no bucket is wider than 1/64 of its lowest value. */
static void
test_buckets(void)
{
	uint64_t value, lowest, end;
	unsigned int i;

	for (value = 0; value < 1ULL << PROBE_LIMIT_LOG2; value += 1 + value / 1000) {
		i = probe_histogram_index(value);
		CHECK(i < PROBE_BUCKETS);
		lowest = probe_histogram_lowest(i);
		end = probe_histogram_lowest(i + 1);
		CHECK(lowest <= value && value < end);
		CHECK(end - lowest == 1 || (end - lowest) * 64 <= lowest);
	}
	CHECK(probe_histogram_lowest(PROBE_BUCKETS) == 1ULL << PROBE_LIMIT_LOG2);
	CHECK(probe_histogram_index((1ULL << PROBE_LIMIT_LOG2) - 1) == PROBE_BUCKETS - 1);
	CHECK(probe_histogram_index(UINT64_MAX) == PROBE_BUCKETS - 1);
}

static void
check_near(uint64_t got, uint64_t want)
{
	CHECK(got * 1000 >= want * 984 && got * 1000 <= want * 1016);
}

static void
test_percentiles(void)
{
	uint64_t i;

	probe_histogram_reset(&h);
	CHECK(probe_histogram_percentile(&h, 500) == 0);
	for (i = 1; i <= 100000; i++)
		probe_histogram_add(&h, i * 10);
	CHECK(h.samples == 100000 && h.min == 10 && h.max == 1000000);
	CHECK(h.sum == 10ULL * 100000 * 100001 / 2);
	check_near(probe_histogram_percentile(&h, 500), 500000);
	check_near(probe_histogram_percentile(&h, 900), 900000);
	check_near(probe_histogram_percentile(&h, 990), 990000);
	check_near(probe_histogram_percentile(&h, 999), 999000);
	CHECK(probe_histogram_percentile(&h, 1000) == 1000000);
	CHECK(probe_histogram_percentile(&h, 0) == 10);
}

/* The median of two values is the lower one. */
static void
test_ranks(void)
{
	probe_histogram_reset(&h);
	probe_histogram_add(&h, 10);
	probe_histogram_add(&h, 20);
	CHECK(probe_histogram_percentile(&h, 500) == 10);
	CHECK(probe_histogram_percentile(&h, 501) == 20);
}

static void
test_one_sample(void)
{
	probe_histogram_reset(&h);
	probe_histogram_add(&h, 12345);
	CHECK(probe_histogram_percentile(&h, 500) == 12345);
	CHECK(probe_histogram_percentile(&h, 999) == 12345);
	probe_histogram_reset(&h);
	probe_histogram_add(&h, UINT64_MAX);
	CHECK(h.bucket[PROBE_BUCKETS - 1] == 1 && h.max == UINT64_MAX);
}

int
main(void)
{
	test_buckets();
	test_percentiles();
	test_ranks();
	test_one_sample();
	return 0;
}
