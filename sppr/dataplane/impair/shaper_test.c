/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/check.h"
#include "impair/random.h"
#include "impair/shaper.h"

#define HZ 2399998123ULL /* not a multiple of anything */

static void
test_burst_then_rate(void)
{
	struct shaper s;
	unsigned int i;

	shaper_start(&s, 8000000, 3000, HZ); /* a million bytes a second */
	for (i = 0; i < 3; i++)
		CHECK(shaper_departure(&s, HZ, 1000) == HZ);
	CHECK(shaper_departure(&s, HZ, 1000) == HZ + (HZ + 999) / 1000);
	CHECK(shaper_departure(&s, HZ, 1000) == HZ + (2 * HZ + 999) / 1000);
	/* after a rest the bucket is full, and not fuller */
	for (i = 0; i < 3; i++)
		CHECK(shaper_departure(&s, 9 * HZ, 1000) == 9 * HZ);
	CHECK(shaper_departure(&s, 9 * HZ, 1000) > 9 * HZ);
	shaper_start(&s, 0, 3000, HZ);
	CHECK(shaper_departure(&s, 5, 9000) == 5);
}

/* The time of a million frames is exact to the tick. */
static void
test_no_drift(void)
{
	const uint64_t frames = 1000000, rate = 1234567;
	unsigned __int128 exact;
	uint64_t i, last = 0, departure;
	struct shaper s;

	shaper_start(&s, rate, 61, HZ);
	for (i = 0; i < frames; i++) {
		departure = shaper_departure(&s, 0, 61);
		CHECK(departure >= last);
		last = departure;
	}
	exact = (unsigned __int128)(frames - 1) * 61 * 8 * HZ;
	CHECK(last == (uint64_t)((exact + rate - 1) / rate));
}

static void
test_long_frames(void)
{
	struct shaper s;
	uint64_t i, last = 0, departure, bytes = 0;
	struct random r;

	shaper_start(&s, 8000000, 100, HZ);
	CHECK(shaper_departure(&s, 0, 1000) == (900 * HZ + 999999) / 1000000);
	/* frames keep their order, and never more than rate and burst allow have departed */
	random_start(&r, 1, RANDOM_LOSS);
	shaper_start(&s, 8000000, 3000, HZ);
	for (i = 0; i < 100000; i++) {
		uint32_t size = (uint32_t)(60 + random_below(&r, 9000));

		departure = shaper_departure(&s, i * HZ / 1000, size);
		CHECK(departure >= last && departure >= i * HZ / 1000);
		last = departure;
		bytes += size;
		CHECK((unsigned __int128)departure * 1000000 >=
						(unsigned __int128)HZ * (bytes - 3000) ||
				bytes < 3000);
	}
}

int
main(void)
{
	test_burst_then_rate();
	test_no_drift();
	test_long_frames();
	return 0;
}
