/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "base/log.h"
#include "forward/patch_table.h"

struct patch_table patch_table_empty;

static struct patch_table *
new_table(unsigned int n)
{
	struct patch_table *t;

	if (n == 0)
		return &patch_table_empty;
	t = malloc(sizeof(struct patch_table) + n * sizeof(struct patch_entry));
	if (t != NULL)
		t->n = 0;
	return t;
}

void
patch_table_free(struct patch_table *table)
{
	if (table != &patch_table_empty)
		free(table);
}

/* Return whether this worker may use both ends now, with the current assignment of the others. */
static bool
is_free_for(const struct port *src, const struct port *dst, int worker)
{
	return (src->rx_worker < 0 || src->rx_worker == worker) &&
	       (dst->tx_worker < 0 || dst->tx_worker == worker);
}

void
patch_assignment_make(struct patch_assignment *d, const struct port_table *ports, bool running,
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
	lcore_assign(d->item, d->n, nworkers);
}

bool
patch_assignment_moves_port(const struct patch_assignment *d)
{
	unsigned int i;

	for (i = 0; i < d->n; i++)
		if (!is_free_for(d->src[i], d->src[i]->patched_to, d->item[i].worker))
			return true;
	return false;
}

static void
fill_one(const struct patch_assignment *d, struct patch_table *t, int worker, bool only_free)
{
	unsigned int i;

	for (i = 0; i < d->n; i++) {
		struct port *src = d->src[i], *dst = src->patched_to;

		if (d->item[i].worker != worker || (only_free && !is_free_for(src, dst, worker)))
			continue;
		t->entry[t->n++] = (struct patch_entry){ src->ops->rx_burst, dst->ops->tx_burst,
			src, dst, src->ops->counts_bytes || dst->ops->counts_bytes };
	}
}

int
patch_assignment_make_tables(const struct patch_assignment *d, struct patch_table **tables,
		unsigned int nworkers, bool only_free)
{
	unsigned int w;

	for (w = 0; w < nworkers; w++) {
		tables[w] = new_table(d->n);
		if (tables[w] == NULL) {
			log_line("no memory for a patch table");
			while (w-- > 0)
				patch_table_free(tables[w]);
			return -1;
		}
		fill_one(d, tables[w], (int)w, only_free);
	}
	return 0;
}

void
patch_assignment_record(const struct patch_assignment *d, const struct port_table *ports)
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
