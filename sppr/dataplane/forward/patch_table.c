/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "base/log.h"
#include "forward/patch_table.h"

struct table table_of_nothing;

static struct table *
new_table(unsigned int n)
{
	struct table *t;

	if (n == 0)
		return &table_of_nothing;
	t = malloc(sizeof(struct table) + n * sizeof(struct pair));
	if (t != NULL)
		t->n = 0;
	return t;
}

void
table_free(struct table *table)
{
	if (table != &table_of_nothing)
		free(table);
}

/* Whether a worker may use both ends at once with what the others do now. */
static bool
free_for(const struct port *src, const struct port *dst, int worker)
{
	return (src->rx_worker < 0 || src->rx_worker == worker) &&
	       (dst->tx_worker < 0 || dst->tx_worker == worker);
}

void
division_make(struct division *d, const struct port_table *ports, bool running,
		unsigned int nworkers)
{
	unsigned int i;

	d->n = 0;
	for (i = 0; running && i < ports->n; i++) {
		struct port *p = ports->port[i];

		if (p->patched_to == NULL)
			continue;
		d->src[d->n] = p;
		d->item[d->n].dst = p->patched_to;
		d->item[d->n++].was = p->patched_to->tx_worker;
	}
	plan_divide(d->item, d->n, nworkers);
}

bool
division_moves(const struct division *d)
{
	unsigned int i;

	for (i = 0; i < d->n; i++)
		if (!free_for(d->src[i], d->src[i]->patched_to, d->item[i].worker))
			return true;
	return false;
}

static void
fill_one(const struct division *d, struct table *t, int worker, bool only_free)
{
	unsigned int i;

	for (i = 0; i < d->n; i++) {
		struct port *src = d->src[i], *dst = src->patched_to;

		if (d->item[i].worker != worker || (only_free && !free_for(src, dst, worker)))
			continue;
		t->pair[t->n++] = (struct pair){ src->ops->rx_burst, dst->ops->tx_burst, src, dst };
	}
}

int
division_fill(const struct division *d, struct table **tables, unsigned int nworkers,
		bool only_free)
{
	unsigned int w;

	for (w = 0; w < nworkers; w++) {
		tables[w] = new_table(d->n);
		if (tables[w] == NULL) {
			say("no memory for a patch table");
			while (w-- > 0)
				table_free(tables[w]);
			return -1;
		}
		fill_one(d, tables[w], (int)w, only_free);
	}
	return 0;
}

void
division_record(const struct division *d, const struct port_table *ports)
{
	unsigned int i;

	for (i = 0; i < ports->n; i++) {
		ports->port[i]->rx_worker = -1;
		ports->port[i]->tx_worker = -1;
	}
	for (i = 0; i < d->n; i++) {
		d->src[i]->rx_worker = d->item[i].worker;
		d->src[i]->patched_to->tx_worker = d->item[i].worker;
	}
}
