/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "impair/shaper.h"

#define BITS 8

void
shaper_start(struct shaper *s, uint64_t rate, uint64_t burst, uint64_t hz)
{
	memset(s, 0, sizeof(*s));
	s->rate = rate;
	s->ticks_per_byte = hz * BITS;
	s->capacity = (unsigned __int128)burst * s->ticks_per_byte;
}

uint64_t
shaper_departure(struct shaper *s, uint64_t now, uint32_t bytes)
{
	unsigned __int128 cost, ready, departure;

	if (s->rate == 0)
		return now;
	cost = (unsigned __int128)bytes * s->ticks_per_byte;
	departure = (unsigned __int128)now * s->rate;
	ready = s->full_at + cost;
	ready = ready > s->capacity ? ready - s->capacity : 0;
	if (departure < ready)
		departure = ready;
	if (s->full_at < departure)
		s->full_at = departure;
	s->full_at += cost;
	return (uint64_t)((departure + s->rate - 1) / s->rate);
}
