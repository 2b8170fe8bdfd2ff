/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "impair/engine.h"

struct engine *
engine_new(const struct impair_parameters *p, uint64_t hz, uint32_t capacity)
{
	struct engine *e = calloc(1, sizeof(*e));
	uint64_t seed = p->value[IMPAIR_SEED];

	if (e == NULL)
		return NULL;
	if (capacity > 0 && queue_open(&e->queue, capacity) < 0) {
		free(e);
		return NULL;
	}
	e->parameters = *p;
	loss_start(&e->loss, p);
	random_start(&e->duplicate, seed, RANDOM_DUPLICATE);
	random_start(&e->corrupt, seed, RANDOM_CORRUPT);
	random_start(&e->reorder, seed, RANDOM_REORDER);
	e->duplicate_threshold = random_threshold(p->value[IMPAIR_DUPLICATE]);
	e->corrupt_threshold = random_threshold(p->value[IMPAIR_CORRUPT]);
	e->reorder_threshold = random_threshold(p->value[IMPAIR_REORDER]);
	e->gap = (uint32_t)p->value[IMPAIR_GAP];
	delay_start(&e->delay, p, hz);
	shaper_start(&e->shaper, p->value[IMPAIR_RATE], p->value[IMPAIR_BURST], hz);
	return e;
}

void
engine_free(struct engine *e)
{
	if (e == NULL)
		return;
	queue_close(&e->queue);
	free(e);
}

void
engine_adopt(struct engine *e, struct engine *old)
{
	struct queue empty = e->queue;

	if (empty.capacity > 0) {
		queue_move(&e->queue, &old->queue);
	} else {
		e->queue = old->queue;
		old->queue = empty;
	}
	if (e->shaper.rate == old->shaper.rate && e->shaper.capacity == old->shaper.capacity)
		e->shaper = old->shaper;
}

bool
engine_duplicates(struct engine *e)
{
	return e->duplicate_threshold != 0 && random_hit(&e->duplicate, e->duplicate_threshold);
}

bool
engine_corrupts(struct engine *e)
{
	return e->corrupt_threshold != 0 && random_hit(&e->corrupt, e->corrupt_threshold);
}

/* As in netem: gap - 1 frames are delayed after each frame that was not. */
bool
engine_reorders(struct engine *e)
{
	if (e->reorder_threshold == 0)
		return false;
	if (e->since_reorder >= e->gap - 1 && random_hit(&e->reorder, e->reorder_threshold)) {
		e->since_reorder = 0;
		return true;
	}
	if (e->since_reorder < UINT32_MAX)
		e->since_reorder++;
	return false;
}

uint64_t
engine_due(struct engine *e, uint64_t now, uint32_t bytes)
{
	return shaper_departure(&e->shaper, now, bytes) + delay_next(&e->delay);
}
