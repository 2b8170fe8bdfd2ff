/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FORWARD_LCORE_ASSIGN_H
#define FORWARD_LCORE_ASSIGN_H

/* Assign patches to worker lcores; values only. A source has one patch at most, but a destination
 * may have several. Two lcores must not fill one destination, so all its patches go to one lcore.
 */
struct lcore_assign_item {
	const void *dst;
	int was; /* the current worker, or -1 */
	int worker;
};

/* Set .worker of each item. A patch keeps its worker if possible. The others go to the worker with
 * the fewest patches.
 */
void lcore_assign(struct lcore_assign_item *items, unsigned int n, unsigned int nworkers);

#endif
