/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "impair/loss.h"

void
loss_start(struct loss *l, const struct impair_parameters *p)
{
	memset(l, 0, sizeof(*l));
	random_start(&l->random, p->value[IMPAIR_SEED], RANDOM_LOSS);
	l->gemodel = p->gemodel;
	l->loss = random_threshold(p->value[IMPAIR_LOSS]);
	l->worsen = l->loss;
	l->recover = random_threshold(p->ge_recover);
	l->loss_bad = random_threshold(p->ge_loss_bad);
	l->loss_good = random_threshold(p->ge_loss_good);
}

/* As in netem, the state that the frame finds decides about its loss. */
static bool
gemodel_next(struct loss *l)
{
	bool bad = l->bad;

	if (random_hit(&l->random, bad ? l->recover : l->worsen))
		l->bad = !bad;
	return random_hit(&l->random, bad ? l->loss_bad : l->loss_good);
}

bool
loss_next(struct loss *l)
{
	if (l->gemodel)
		return gemodel_next(l);
	return l->loss != 0 && random_hit(&l->random, l->loss);
}
