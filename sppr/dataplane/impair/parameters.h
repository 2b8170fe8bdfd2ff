/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMPAIR_PARAMETERS_H
#define IMPAIR_PARAMETERS_H

#include "impair/units.h"

/* The parameters of an impairment: the words of a command, with the keys of `tc netem`. */

#define IMPAIR_STRLEN 512
#define IMPAIR_LIMIT_MAX 1000000
#define IMPAIR_LIMIT_DEFAULT 10000

/* In the order of the text. */
enum impair_key {
	IMPAIR_DELAY,  /* ns */
	IMPAIR_JITTER, /* ns */
	IMPAIR_DISTRIBUTION,
	IMPAIR_LOSS, /* parts per billion; of gemodel: good to bad */
	IMPAIR_DUPLICATE,
	IMPAIR_CORRUPT,
	IMPAIR_REORDER,
	IMPAIR_GAP,
	IMPAIR_RATE,  /* bits a second */
	IMPAIR_BURST, /* bytes */
	IMPAIR_LIMIT,
	IMPAIR_SEED,
	N_IMPAIR_KEYS,
};

enum impair_distribution {
	IMPAIR_UNIFORM,
	IMPAIR_NORMAL,
};

/* Values that were not given have their defaults. */
struct impair_parameters {
	uint32_t given; /* bit KEY */
	uint64_t value[N_IMPAIR_KEYS];
	bool gemodel;
	uint64_t ge_recover;   /* bad to good */
	uint64_t ge_loss_bad;  /* 1-h */
	uint64_t ge_loss_good; /* 1-k */
};

/* Parse words KEY=VALUE. Logs an error. */
bool impair_parse(struct impair_parameters *p, char *const *words, unsigned int n);

/* Write the words in their canonical form. Parsing them gives the same parameters. */
void impair_format(const struct impair_parameters *p, char text[IMPAIR_STRLEN]);

#endif
