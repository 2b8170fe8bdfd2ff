/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMPAIR_RANDOM_H
#define IMPAIR_RANDOM_H

#include <stdbool.h>
#include <stdint.h>

#include "impair/units.h"

/* Random numbers for impairments (splitmix64). Each purpose has its own generator, so that a use of
 * one of them does not change the numbers of another one.
 */
struct random {
	uint64_t state;
};

enum random_purpose {
	RANDOM_LOSS,
	RANDOM_DUPLICATE,
	RANDOM_CORRUPT,
	RANDOM_REORDER,
	RANDOM_JITTER,
};

static inline uint64_t
random_mix(uint64_t z)
{
	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static inline void
random_start(struct random *r, uint64_t seed, enum random_purpose purpose)
{
	r->state = random_mix(random_mix(seed) + 1 + purpose);
}

static inline uint64_t
random_next(struct random *r)
{
	r->state += 0x9e3779b97f4a7c15ULL;
	return random_mix(r->state);
}

/* Return a number from 0 to limit - 1. */
static inline uint64_t
random_below(struct random *r, uint64_t limit)
{
	return (uint64_t)((unsigned __int128)random_next(r) * limit >> 64);
}

/* Convert parts per billion for random_hit(). */
static inline uint64_t
random_threshold(uint64_t parts)
{
	return (uint64_t)(((unsigned __int128)parts << 63) / PART_ALL);
}

/* Return true with this probability. Takes one number, also for 0 % and 100 %. */
static inline bool
random_hit(struct random *r, uint64_t threshold)
{
	return random_next(r) >> 1 < threshold;
}

#endif
