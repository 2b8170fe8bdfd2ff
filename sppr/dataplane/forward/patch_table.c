/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "base/log.h"
#include "forward/classifier.h"
#include "forward/mirror.h"
#include "forward/patch_table.h"
#include "impair/impairment.h"

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
	unsigned int i;

	if (table == &patch_table_empty)
		return;
	for (i = 0; i < table->n; i++)
		if (table->entry[i].is_fanout)
			fanout_free((struct fanout *)table->entry[i].dst);
	free(table);
}

void
patch_table_flush(const struct patch_table *table)
{
	unsigned int i;

	for (i = 0; i < table->n; i++)
		if (table->entry[i].is_fanout)
			fanout_flush((struct fanout *)table->entry[i].dst);
}

/* Return whether this worker may use both ends now, with the current assignment of the others. */
static bool
is_free_for(const struct port *src, const struct port *dst, int worker)
{
	return (src->rx_worker < 0 || src->rx_worker == worker) &&
	       (dst->tx_worker < 0 || dst->tx_worker == worker);
}

int
patch_assignment_make(struct patch_assignment *d, const struct port_table *ports, bool running,
		unsigned int nworkers)
{
	struct port *src, *dst;
	unsigned int i, k;

	d->n = 0;
	for (i = 0; running && i < ports->n; i++) {
		src = ports->port[i];
		for (k = 0; (dst = port_destination(src, k)) != NULL; k++) {
			if (d->n == MAX_LINKS) {
				log_line("a process has %d patches at most", MAX_LINKS);
				return -1;
			}
			d->src[d->n] = src;
			d->dst[d->n] = dst;
			d->item[d->n++] = (struct lcore_assign_item){ src, dst, dst->tx_worker,
				src->pinned, -1 };
		}
	}
	lcore_assign(d->item, d->n, nworkers);
	return 0;
}

bool
patch_assignment_moves_port(const struct patch_assignment *d)
{
	unsigned int i;

	for (i = 0; i < d->n; i++)
		if (!is_free_for(d->src[i], d->dst[i], d->item[i].worker))
			return true;
	return false;
}

/* Return the fanout of a source with several destinations, or NULL without memory. */
static struct fanout *
new_fanout(struct port *src)
{
	if (src->rules != NULL)
		return classifier_new(
				src, src->rules, impairment_or(src->impairment, src->patched_to));
	return mirror_new(src, src->patched_to, src->mirrored_to);
}

static bool
add_source(struct patch_table *t, struct port *src)
{
	struct patch_entry *e = &t->entry[t->n];
	struct fanout *fanout = NULL;
	unsigned int i;

	*e = (struct patch_entry){ .rx = port_rx_burst(src),
		.src = src,
		.dst = impairment_or(src->impairment, src->patched_to) };
	if (src->rules != NULL || src->mirrored_to != NULL) {
		fanout = new_fanout(src);
		if (fanout == NULL)
			return false;
		e->dst = &fanout->port;
		e->is_fanout = true;
	}
	e->tx = fanout != NULL ? e->dst->ops->tx_burst : port_tx_burst(e->dst);
	e->counts_bytes = src->ops->counts_bytes || e->dst->ops->counts_bytes;
	for (i = 0; fanout != NULL && i < fanout->n; i++)
		e->counts_bytes |= fanout->output[i].counts_bytes;
	t->n++;
	return true;
}

/* Add the way from an impairment to its destination. It follows the one to the impairment, so that
 * frames without a delay need one turn of the worker. A burst may become twice as many frames
 * there, so it is emptied twice in each turn.
 */
static void
add_impairment(struct patch_table *t, struct impairment *impairment, struct port *dst)
{
	struct patch_entry e;

	if (impairment == NULL)
		return;
	e = (struct patch_entry){ .src = impairment_port(impairment), .dst = dst };
	e.rx = port_rx_burst(e.src);
	e.tx = port_tx_burst(dst);
	e.counts_bytes = dst->ops->counts_bytes;
	t->entry[t->n++] = e;
	t->entry[t->n++] = e;
}

static bool
add_entries(struct patch_table *t, struct port *src)
{
	const struct patch_rules *rules = src->rules;
	unsigned int i;

	if (!add_source(t, src))
		return false;
	add_impairment(t, src->impairment, src->patched_to);
	for (i = 0; rules != NULL && i < rules->n; i++)
		add_impairment(t, rules->rule[i].impairment, rules->rule[i].dst);
	return true;
}

/* Return the index behind the last link of the source of link i. *is_free: whether the worker may
 * use all their ends now.
 */
static unsigned int
end_of_source(const struct patch_assignment *d, unsigned int i, bool *is_free)
{
	const struct port *src = d->src[i];

	*is_free = true;
	for (; i < d->n && d->src[i] == src; i++)
		*is_free &= is_free_for(src, d->dst[i], d->item[i].worker);
	return i;
}

static bool
fill_one(const struct patch_assignment *d, struct patch_table *t, int worker, bool only_free)
{
	unsigned int i, next;
	bool is_free;

	for (i = 0; i < d->n; i = next) {
		next = end_of_source(d, i, &is_free);
		if (d->item[i].worker == worker && (is_free || !only_free) &&
				!add_entries(t, d->src[i]))
			return false;
	}
	return true;
}

int
patch_assignment_make_tables(const struct patch_assignment *d, struct patch_table **tables,
		unsigned int nworkers, bool only_free)
{
	unsigned int w;

	for (w = 0; w < nworkers; w++) {
		tables[w] = new_table(MAX_ENTRIES_PER_LINK * d->n);
		if (tables[w] != NULL && fill_one(d, tables[w], (int)w, only_free))
			continue;
		log_line("no memory for a patch table");
		for (w += tables[w] != NULL; w-- > 0;)
			patch_table_free(tables[w]);
		return -1;
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
		d->dst[i]->tx_worker = d->item[i].worker;
	}
}
