/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMPAIR_SHAPER_H
#define IMPAIR_SHAPER_H

#include <stdint.h>

/* A token bucket. It is full at first. Its state is the time at which it is full again, in ticks
 * times rate: then each frame costs an integer, and the rate is exact over any time.
 */
struct shaper {
	uint64_t rate;		    /* bits a second; 0: no limit */
	uint64_t ticks_per_byte;    /* times rate */
	unsigned __int128 capacity; /* the time that fills the bucket, times rate */
	unsigned __int128 full_at;  /* times rate */
};

void shaper_start(struct shaper *s, uint64_t rate, uint64_t burst, uint64_t hz);

/* Return when a frame that arrives now departs. Frames depart in their order. A frame that is
 * longer than the burst waits until the full bucket would have had tokens for it.
 */
uint64_t shaper_departure(struct shaper *s, uint64_t now, uint32_t bytes);

#endif
