/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMPAIR_DELAY_H
#define IMPAIR_DELAY_H

#include "impair/parameters.h"
#include "impair/random.h"

#define DELAY_QUANTILES 4096

/* The delay of each frame: a constant, and jitter with a distribution. In ticks. */
struct delay {
	struct random random;
	uint64_t delay, jitter;
	const int32_t *quantile; /* NULL: uniform; else of a normal distribution */
};

void delay_start(struct delay *d, const struct impair_parameters *p, uint64_t hz);

/* Return the delay of the next frame. Runs on a worker. */
uint64_t delay_next(struct delay *d);

#endif
