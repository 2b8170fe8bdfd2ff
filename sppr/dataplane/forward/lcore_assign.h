/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PLAN_H
#define PLAN_H

/* Dividing patches among worker lcores, values only. A source is in one patch only, so what can
 * be used by two lcores at once is a destination: patches of one destination go together.
 */
struct plan_item {
	const void *dst;
	int was; /* the worker that has it now, or -1 */
	int worker;
};

/* Sets .worker of each item. What runs stays where it is if it can; the rest goes to the worker
 * with the fewest patches.
 */
void plan_divide(struct plan_item *items, unsigned int n, unsigned int nworkers);

#endif
