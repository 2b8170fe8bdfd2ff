/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdbool.h>
#include <stddef.h>

#include "forward/lcore_assign.h"

static unsigned int
load_of(const struct lcore_assign_item *items, unsigned int n, int worker)
{
	unsigned int i, load = 0;

	for (i = 0; i < n; i++)
		load += items[i].worker == worker;
	return load;
}

static int
least_loaded(const struct lcore_assign_item *items, unsigned int n, unsigned int nworkers)
{
	unsigned int w, best = 0;

	for (w = 1; w < nworkers; w++)
		if (load_of(items, n, (int)w) < load_of(items, n, (int)best))
			best = w;
	return (int)best;
}

static bool
touches(const struct lcore_assign_item *a, const struct lcore_assign_item *b)
{
	return a->src == b->src || a->dst == b->dst;
}

/* Give an item and all that are connected with it to a worker. */
static void
give_group(struct lcore_assign_item *items, unsigned int n, unsigned int first, int worker)
{
	bool grew = true;
	unsigned int i, k;

	items[first].worker = worker;
	while (grew) {
		grew = false;
		for (i = 0; i < n; i++) {
			if (items[i].worker >= 0)
				continue;
			for (k = 0; k < n && items[i].worker < 0; k++)
				if (items[k].worker == worker && touches(&items[i], &items[k]))
					items[i].worker = worker;
			grew |= items[i].worker >= 0;
		}
	}
}

void
lcore_assign(struct lcore_assign_item *items, unsigned int n, unsigned int nworkers)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		items[i].worker = -1;
	for (i = 0; i < n; i++)
		if (items[i].worker < 0 && items[i].pinned >= 0)
			give_group(items, n, i, items[i].pinned);
	for (i = 0; i < n; i++)
		if (items[i].worker < 0 && items[i].was >= 0)
			give_group(items, n, i, items[i].was);
	for (i = 0; i < n; i++)
		if (items[i].worker < 0)
			give_group(items, n, i, least_loaded(items, n, nworkers));
}
