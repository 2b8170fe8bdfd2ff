/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "capture/reader/tsc_clock.h"

#define SAMPLE_TRIES 8
#define FIRST_NS 10000000ULL	 /* the first measurement of the rate takes this long */
#define WINDOW_NS 10000000000ULL /* then the base moves, so that the rate follows NTP */

static uint64_t
clock_ns(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

/* Read both clocks at one time: the try with the shortest interval was not interrupted. */
static struct tsc_sample
take_sample(clockid_t clock)
{
	struct tsc_sample sample = { 0 };
	uint64_t before, ns, after, shortest = UINT64_MAX;
	unsigned int i;

	for (i = 0; i < SAMPLE_TRIES; i++) {
		before = tsc_now();
		ns = clock_ns(clock);
		after = tsc_now();
		if (after - before < shortest) {
			shortest = after - before;
			sample = (struct tsc_sample){ before + shortest / 2, ns };
		}
	}
	return sample;
}

static unsigned __int128
rate(struct tsc_sample from, struct tsc_sample to)
{
	return ((unsigned __int128)(to.ns - from.ns) << TSC_CLOCK_SHIFT) / (to.tsc - from.tsc);
}

void
tsc_clock_add(struct tsc_clock *c, struct tsc_sample sample)
{
	if (sample.tsc <= c->base.tsc || sample.ns <= c->base.ns)
		return;
	c->ns_per_tsc = rate(c->base, sample);
	/* Keep a base that is old enough for an exact rate. */
	if (sample.ns - c->base.ns > WINDOW_NS)
		c->base = c->last;
	c->last = sample;
}

void
tsc_clock_start(struct tsc_clock *c)
{
	struct timespec pause = { 0, FIRST_NS };
	struct tsc_sample real;

	memset(c, 0, sizeof(*c));
	c->base = take_sample(CLOCK_MONOTONIC);
	c->last = c->base;
	clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
	tsc_clock_refresh(c);
	real = take_sample(CLOCK_REALTIME);
	c->epoch_ns = real.ns - tsc_clock_to_ns(c, real.tsc);
}

void
tsc_clock_refresh(struct tsc_clock *c)
{
	tsc_clock_add(c, take_sample(CLOCK_MONOTONIC));
}

uint64_t
tsc_clock_to_ns(const struct tsc_clock *c, uint64_t tsc)
{
	uint64_t at = c->epoch_ns + c->last.ns;

	if (tsc >= c->last.tsc)
		return at + (uint64_t)(c->ns_per_tsc * (tsc - c->last.tsc) >> TSC_CLOCK_SHIFT);
	return at - (uint64_t)(c->ns_per_tsc * (c->last.tsc - tsc) >> TSC_CLOCK_SHIFT);
}

uint64_t
tsc_clock_from_monotonic(const struct tsc_clock *c, uint64_t ns)
{
	unsigned __int128 difference = ns >= c->last.ns ? ns - c->last.ns : c->last.ns - ns;
	uint64_t ticks = (uint64_t)((difference << TSC_CLOCK_SHIFT) / c->ns_per_tsc);

	return ns >= c->last.ns ? c->last.tsc + ticks : c->last.tsc - ticks;
}

uint64_t
tsc_clock_ticks(const struct tsc_clock *c, uint64_t ms)
{
	return (uint64_t)(((unsigned __int128)(ms * 1000000) << TSC_CLOCK_SHIFT) / c->ns_per_tsc);
}
