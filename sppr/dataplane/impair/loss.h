/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMPAIR_LOSS_H
#define IMPAIR_LOSS_H

#include "impair/parameters.h"
#include "impair/random.h"

/* Which frames are lost: each with the same probability, or by the model of Gilbert and Elliott, as
 * netem has it. That model is in a good or in a bad state, and each state has its own loss.
 */
struct loss {
	struct random random;
	bool gemodel, bad;
	uint64_t loss; /* thresholds of random_hit(); without gemodel this one only */
	uint64_t worsen, recover, loss_bad, loss_good;
};

void loss_start(struct loss *l, const struct impair_parameters *p);

/* Return whether the next frame is lost. Runs on a worker. */
bool loss_next(struct loss *l);

#endif
