/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FORWARD_LCORE_ASSIGN_H
#define FORWARD_LCORE_ASSIGN_H

/* Dividing patches among worker lcores, values only. A source is in one patch only, so what can
 * be used by two lcores at once is a destination: patches of one destination go together.
 */
struct lcore_assign_item {
	const void *dst;
	int was; /* the worker that has it now, or -1 */
	int worker;
};

/* Sets .worker of each item. What runs stays where it is if it can; the rest goes to the worker
 * with the fewest patches.
 */
void lcore_assign(struct lcore_assign_item *items, unsigned int n, unsigned int nworkers);

#endif
