/* SPDX-License-Identifier: BSD-3-Clause */
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

static void
give_group(struct lcore_assign_item *items, unsigned int n, const void *dst, int worker)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		if (items[i].dst == dst)
			items[i].worker = worker;
}

void
lcore_assign(struct lcore_assign_item *items, unsigned int n, unsigned int nworkers)
{
	unsigned int i;

	for (i = 0; i < n; i++)
		items[i].worker = -1;
	for (i = 0; i < n; i++)
		if (items[i].worker < 0 && items[i].was >= 0)
			give_group(items, n, items[i].dst, items[i].was);
	for (i = 0; i < n; i++)
		if (items[i].worker < 0)
			give_group(items, n, items[i].dst, least_loaded(items, n, nworkers));
}
