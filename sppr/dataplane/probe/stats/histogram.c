/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "probe/stats/histogram.h"

void
probe_histogram_reset(struct probe_histogram *h)
{
	memset(h, 0, sizeof(*h));
	h->min = UINT64_MAX;
}

uint64_t
probe_histogram_lowest(unsigned int index)
{
	unsigned int above;

	if (index < PROBE_EXACT)
		return index;
	above = index - PROBE_EXACT;
	return (uint64_t)(PROBE_STEPS + above % PROBE_STEPS) << (above / PROBE_STEPS + 1);
}

/* Another process may increment the buckets during this sum, so `samples` is not used. */
static uint64_t
total(const struct probe_histogram *h)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < PROBE_BUCKETS; i++)
		sum += h->bucket[i];
	return sum;
}

static uint64_t
clamp(const struct probe_histogram *h, uint64_t value)
{
	if (value < h->min)
		return h->min;
	return value > h->max ? h->max : value;
}

uint64_t
probe_histogram_percentile(const struct probe_histogram *h, unsigned int permille)
{
	uint64_t samples = total(h);
	uint64_t rank = samples / 1000 * permille + (samples % 1000 * permille + 999) / 1000;
	uint64_t sum = 0, lowest;
	unsigned int i;

	if (samples == 0)
		return 0;
	for (i = 0; i < PROBE_BUCKETS - 1; i++) {
		sum += h->bucket[i];
		if (sum >= rank && sum > 0)
			break;
	}
	lowest = probe_histogram_lowest(i);
	return clamp(h, lowest + (probe_histogram_lowest(i + 1) - lowest) / 2);
}
