/* SPDX-License-Identifier: BSD-3-Clause */
#include <math.h>

#include "base/check.h"
#include "impair/loss.h"

#define FRAMES 1000000
#define SIGMAS_99_9 3.29 /* of the 99.9 % interval */

static struct impair_parameters
make(const char *word)
{
	char copy[64], *words[] = { copy };
	struct impair_parameters p;

	snprintf(copy, sizeof(copy), "%s", word);
	CHECK(impair_parse(&p, words, 1));
	return p;
}

static unsigned int
count_lost(const struct impair_parameters *p, unsigned int frames)
{
	unsigned int i, lost = 0;
	struct loss l;

	loss_start(&l, p);
	for (i = 0; i < frames; i++)
		lost += loss_next(&l);
	return lost;
}

static void
test_rate_of_loss(void)
{
	static const double probability[] = { 0.00001, 0.001, 0.1, 0.5, 0.999 };
	struct impair_parameters p = make("loss=1%");
	double expected, sigma;
	size_t i;

	for (i = 0; i < sizeof(probability) / sizeof(probability[0]); i++) {
		p.value[IMPAIR_LOSS] = (uint64_t)llround(probability[i] * PART_ALL);
		expected = FRAMES * probability[i];
		sigma = sqrt(expected * (1 - probability[i]));
		CHECK(fabs(count_lost(&p, FRAMES) - expected) < SIGMAS_99_9 * sigma);
	}
	p = make("loss=0%");
	CHECK(count_lost(&p, FRAMES) == 0);
	p = make("loss=100%");
	CHECK(count_lost(&p, FRAMES) == FRAMES);
}

static void
test_seed(void)
{
	struct impair_parameters p = make("loss=10%");
	struct loss a, b, c;
	unsigned int i, differences = 0;

	loss_start(&a, &p);
	loss_start(&b, &p);
	p.value[IMPAIR_SEED] = 1;
	loss_start(&c, &p);
	for (i = 0; i < 1000; i++) {
		bool lost = loss_next(&a);

		CHECK(lost == loss_next(&b));
		differences += lost != loss_next(&c);
	}
	CHECK(differences > 100);
}

/* The share of the bad state is p / (p + r). A run of losses ends with probability r. */
static void
test_gemodel(void)
{
	struct impair_parameters p = make("loss=gemodel,1%,10%");
	unsigned int i, lost = 0, runs = 0;
	bool now, before = false;
	struct loss l;
	double share;

	loss_start(&l, &p);
	for (i = 0; i < FRAMES; i++, before = now) {
		now = loss_next(&l);
		lost += now;
		runs += now && !before;
	}
	CHECK(fabs((double)lost / FRAMES - 0.01 / 0.11) < 0.003);
	CHECK(fabs((double)lost / runs - 10) < 0.3);
	p = make("loss=gemodel,1%,10%,70%,2%");
	share = 0.7 * 0.01 / 0.11 + 0.02 * 0.1 / 0.11;
	CHECK(fabs((double)count_lost(&p, FRAMES) / FRAMES - share) < 0.003);
	p = make("loss=gemodel,0%");
	CHECK(count_lost(&p, FRAMES) == 0);
	p = make("loss=gemodel,100%"); /* the states alternate, and the first one is good */
	CHECK(count_lost(&p, 1000) == 999);
}

int
main(void)
{
	test_rate_of_loss();
	test_seed();
	test_gemodel();
	return 0;
}
