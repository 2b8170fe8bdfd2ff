/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMPAIR_ENGINE_H
#define IMPAIR_ENGINE_H

#include "impair/delay.h"
#include "impair/loss.h"
#include "impair/queue.h"
#include "impair/shaper.h"

/* The decisions about the frames of one impairment, and the frames that it holds. The control
 * thread makes a new engine for each change of the parameters. A worker runs it.
 */
struct engine {
	struct impair_parameters parameters;
	struct loss loss;
	struct random duplicate, corrupt, reorder;
	uint64_t duplicate_threshold, corrupt_threshold, reorder_threshold;
	uint32_t gap, since_reorder;
	struct delay delay;
	struct shaper shaper;
	struct queue queue;
};

/* Make an engine with a queue of this capacity. 0: it will take the queue of its predecessor.
 * Return NULL without memory.
 */
struct engine *engine_new(const struct impair_parameters *p, uint64_t hz, uint32_t capacity);

/* Free an engine without frames. */
void engine_free(struct engine *e);

/* Take the held frames of the predecessor, and the tokens of an unchanged rate. */
void engine_adopt(struct engine *e, struct engine *old);

/* Decide about the next frame. */
bool engine_duplicates(struct engine *e);
bool engine_corrupts(struct engine *e);
bool engine_reorders(struct engine *e);

/* Return when a frame that arrives now is due. */
uint64_t engine_due(struct engine *e, uint64_t now, uint32_t bytes);

#endif
