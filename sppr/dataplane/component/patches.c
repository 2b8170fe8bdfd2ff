/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include <rte_lcore.h>

#include "base/log.h"
#include "component/patches.h"
#include "forward/claims.h"
#include "forward/worker.h"

/* What the components decide about a port. */
struct plan {
	struct port *patched_to;
	struct port *mirrored_to;
	struct patch_rules *rules;
	struct port_side rx, tx;
	int pinned;
};

/* The ports of a component. */
struct members {
	struct port *rx[MAX_PORTS], *tx[MAX_PORTS];
	unsigned int nrx, ntx;
};

static void
find_members(const struct component_set *set, unsigned int component, struct members *m)
{
	const struct attachment *a;
	unsigned int i;

	m->nrx = 0;
	m->ntx = 0;
	for (i = 0; i < set->nattachments; i++) {
		a = &set->attachment[i];
		if (a->component != component)
			continue;
		if (a->tx)
			m->tx[m->ntx++] = a->port;
		else
			m->rx[m->nrx++] = a->port;
	}
}

static int
worker_of(unsigned int wanted)
{
	unsigned int lcore;
	int i = 0;

	RTE_LCORE_FOREACH_WORKER(lcore) {
		if (lcore == wanted)
			return i;
		i++;
	}
	return -1;
}

static const struct class_entry *
entry_of(const struct component_set *set, const struct port *port)
{
	unsigned int i;

	for (i = 0; i < set->nentries; i++)
		if (set->entry[i].port == port)
			return &set->entry[i];
	return NULL;
}

/* SPP's rule: the default of frames without a tag is that of all frames, too. */
static int
classify(struct port *src, const struct component_set *set, const struct members *m)
{
	struct patch_rules *rules = malloc(sizeof(*rules) + m->ntx * sizeof(rules->rule[0]));
	const struct class_entry *entry;
	unsigned int i;

	if (rules == NULL) {
		log_line("no memory for a classifier");
		return -1;
	}
	rules->n = 0;
	for (i = 0; i < m->ntx; i++) {
		entry = entry_of(set, m->tx[i]);
		if (entry == NULL)
			continue;
		rules->rule[rules->n++] =
				(struct patch_rule){ .match = entry->match, .dst = m->tx[i] };
		if (entry->is_default && entry->match.vlan == MATCH_UNTAGGED)
			src->patched_to = m->tx[i];
	}
	if (rules->n > 0)
		src->rules = rules;
	else
		free(rules);
	return 0;
}

static int
plan_component(const struct component_set *set, unsigned int index)
{
	const struct component *c = &set->component[index];
	static struct members m;
	unsigned int i;

	find_members(set, index, &m);
	for (i = 0; i < m.nrx; i++)
		m.rx[i]->pinned = worker_of(c->lcore);
	if (m.nrx == 0 || m.ntx == 0)
		return 0;
	switch (c->type) {
	case COMPONENT_CLASSIFIER:
		return classify(m.rx[0], set, &m);
	case COMPONENT_MIRROR:
		if (m.ntx < 2)
			return 0; /* as SPP: it starts with its second output */
		m.rx[0]->mirrored_to = m.tx[1];
		/* fall through */
	default:
		for (i = 0; i < m.nrx; i++)
			m.rx[i]->patched_to = m.tx[0];
		return 0;
	}
}

static int
plan_all(const struct port_table *ports, const struct component_set *set)
{
	const struct attachment *a;
	struct port *p;
	unsigned int i;

	for (i = 0; i < ports->n; i++) {
		p = ports->port[i];
		p->patched_to = NULL;
		p->mirrored_to = NULL;
		p->rules = NULL;
		p->pinned = -1;
		p->rx = (struct port_side){ 0 };
		p->tx = (struct port_side){ 0 };
	}
	for (i = 0; i < set->nattachments; i++) {
		a = &set->attachment[i];
		if (a->tx)
			a->port->tx = a->side;
		else
			a->port->rx = a->side;
	}
	for (i = 0; i < set->n; i++)
		if (plan_component(set, i) < 0)
			return -1;
	return 0;
}

static void
save(const struct port_table *ports, struct plan *plan)
{
	unsigned int i;

	for (i = 0; i < ports->n; i++) {
		const struct port *p = ports->port[i];

		plan[i] = (struct plan){ p->patched_to, p->mirrored_to, p->rules, p->rx, p->tx,
			p->pinned };
	}
}

static void
restore(const struct port_table *ports, const struct plan *plan)
{
	unsigned int i;

	for (i = 0; i < ports->n; i++) {
		struct port *p = ports->port[i];

		free(p->rules);
		p->patched_to = plan[i].patched_to;
		p->mirrored_to = plan[i].mirrored_to;
		p->rules = plan[i].rules;
		p->rx = plan[i].rx;
		p->tx = plan[i].tx;
		p->pinned = plan[i].pinned;
	}
}

int
component_patches_apply(struct app *app, const struct component_set *set)
{
	static struct plan before[MAX_PORTS];
	unsigned int i;
	int ret;

	save(&app->ports, before);
	ret = plan_all(&app->ports, set);
	if (ret == 0)
		ret = claims_take_all(&app->ports);
	if (ret == 0)
		ret = workers_apply(&app->ports, app->running);
	if (ret < 0)
		restore(&app->ports, before);
	else
		for (i = 0; i < app->ports.n; i++)
			free(before[i].rules);
	claims_release_unused(&app->ports);
	return ret;
}
