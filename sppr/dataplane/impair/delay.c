/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>
#include <string.h>

#include "impair/delay.h"

#define NS_PER_S 1000000000
#define ONE_SIGMA 65536 /* in the table */
#define SIGMAS 4.0	/* where the distribution is cut */
#define BISECTIONS 40

/* Find the quantile of the standard normal distribution by bisection. */
static double
find_quantile(double probability)
{
	double low = -SIGMAS, high = SIGMAS, middle;
	unsigned int i;

	for (i = 0; i < BISECTIONS; i++) {
		middle = (low + high) / 2;
		if (erfc(-middle / sqrt(2)) / 2 < probability)
			low = middle;
		else
			high = middle;
	}
	return low;
}

/* The table is computed once, on the control thread. */
static const int32_t *
normal_quantiles(void)
{
	static int32_t quantile[DELAY_QUANTILES];
	static bool filled;
	unsigned int i;

	for (i = 0; !filled && i < DELAY_QUANTILES; i++)
		quantile[i] = (int32_t)lround(
				find_quantile((i + 0.5) / DELAY_QUANTILES) * ONE_SIGMA);
	filled = true;
	return quantile;
}

static uint64_t
to_ticks(uint64_t ns, uint64_t hz)
{
	return (uint64_t)((unsigned __int128)ns * hz / NS_PER_S);
}

void
delay_start(struct delay *d, const struct impair_parameters *p, uint64_t hz)
{
	memset(d, 0, sizeof(*d));
	random_start(&d->random, p->value[IMPAIR_SEED], RANDOM_JITTER);
	d->delay = to_ticks(p->value[IMPAIR_DELAY], hz);
	d->jitter = to_ticks(p->value[IMPAIR_JITTER], hz);
	if (p->value[IMPAIR_DISTRIBUTION] == IMPAIR_NORMAL)
		d->quantile = normal_quantiles();
}

uint64_t
delay_next(struct delay *d)
{
	__int128 delay = d->delay;

	if (d->jitter == 0)
		return d->delay;
	if (d->quantile != NULL)
		delay += (__int128)d->jitter *
			 d->quantile[random_below(&d->random, DELAY_QUANTILES)] / ONE_SIGMA;
	else
		delay += (__int128)random_below(&d->random, 2 * d->jitter) - d->jitter;
	return delay > 0 ? (uint64_t)delay : 0;
}
