/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FORWARD_LCORE_ASSIGN_H
#define FORWARD_LCORE_ASSIGN_H

/* Assign links, from a source to a destination, to worker lcores; values only. A source may have
 * several destinations, and a destination several sources. Two lcores must not poll one source, nor
 * fill one destination, so all links that are connected by sources or destinations go to one lcore.
 */
struct lcore_assign_item {
	const void *src;
	const void *dst;
	int was;    /* the current worker, or -1 */
	int pinned; /* the worker that it must have, or -1 */
	int worker;
};

/* Set .worker of each item. A link keeps its worker if possible. The others go to the worker with
 * the fewest links.
 */
void lcore_assign(struct lcore_assign_item *items, unsigned int n, unsigned int nworkers);

#endif
