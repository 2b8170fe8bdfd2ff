/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <rte_lcore.h>

#include "base/log.h"
#include "component/component.h"
#include "component/patches.h"
#include "forward/patch.h"

struct component_set components;

const char *
component_type_name(enum component_type type)
{
	static const char *const names[] = { "unuse", "forward", "merge", "classifier", "mirror" };

	return names[type];
}

int
component_find(const char *name)
{
	unsigned int i;

	for (i = 0; i < components.n; i++)
		if (strcmp(components.component[i].name, name) == 0)
			return (int)i;
	return -1;
}

int
component_find_attachment(const struct port *port, bool tx)
{
	unsigned int i;

	for (i = 0; i < components.nattachments; i++)
		if (components.attachment[i].port == port && components.attachment[i].tx == tx)
			return (int)i;
	return -1;
}

struct class_entry *
component_find_entry(const struct port *port)
{
	unsigned int i;

	for (i = 0; i < components.nentries; i++)
		if (components.entry[i].port == port)
			return &components.entry[i];
	return NULL;
}

/* Let the workers follow the components, or restore the former ones. */
static bool
apply_or_restore(struct app *app, const struct component_set *before)
{
	if (component_patches_apply(app, &components) == 0)
		return true;
	components = *before;
	return false;
}

static bool
is_worker(unsigned int lcore)
{
	return rte_lcore_is_enabled(lcore) && lcore != rte_get_main_lcore();
}

bool
component_start(struct app *app, const char *name, unsigned int lcore, enum component_type type)
{
	struct component *c = &components.component[components.n];

	(void)app;
	if (components.n == MAX_COMPONENTS) {
		log_line("the limit of %d components is reached", MAX_COMPONENTS);
		return false;
	}
	if (!is_worker(lcore)) {
		log_line("lcore %u is not a worker of this process", lcore);
		return false;
	}
	snprintf(c->name, sizeof(c->name), "%s", name);
	c->type = type;
	c->lcore = lcore;
	components.n++;
	return true;
}

static void
remove_attachment(unsigned int i)
{
	components.nattachments--;
	memmove(&components.attachment[i], &components.attachment[i + 1],
			(components.nattachments - i) * sizeof(components.attachment[0]));
}

static void
remove_component(unsigned int index)
{
	unsigned int i = 0;

	while (i < components.nattachments)
		if (components.attachment[i].component == index)
			remove_attachment(i);
		else
			i++;
	for (i = 0; i < components.nattachments; i++)
		components.attachment[i].component -= components.attachment[i].component > index;
	components.n--;
	memmove(&components.component[index], &components.component[index + 1],
			(components.n - index) * sizeof(components.component[0]));
}

bool
component_stop(struct app *app, const char *name)
{
	static struct component_set before;
	int index = component_find(name);

	if (index < 0)
		return true; /* as SPP */
	before = components;
	remove_component((unsigned int)index);
	return apply_or_restore(app, &before);
}

static unsigned int
count(unsigned int component, bool tx)
{
	unsigned int i, n = 0;

	for (i = 0; i < components.nattachments; i++)
		n += components.attachment[i].component == component &&
		     components.attachment[i].tx == tx;
	return n;
}

static bool
check_count(unsigned int component, bool tx)
{
	static const unsigned int most[][2] = {
		[COMPONENT_FORWARD] = { 1, 1 },
		[COMPONENT_MERGE] = { MAX_PORTS, 1 },
		[COMPONENT_CLASSIFIER] = { 1, MAX_PORTS },
		[COMPONENT_MIRROR] = { 1, 2 },
	};
	const struct component *c = &components.component[component];
	unsigned int limit = most[c->type][tx];

	if (count(component, tx) < limit && components.nattachments < MAX_ATTACHMENTS)
		return true;
	log_line("%s: a %s has at most %u %s port%s", c->name, component_type_name(c->type), limit,
			tx ? "tx" : "rx", limit == 1 ? "" : "s");
	return false;
}

/* Return the port, opened if it does not exist. */
static struct port *
open_port(struct app *app, struct port_id id)
{
	struct port *port = port_table_find(&app->ports, id);

	if (port == NULL && patch_add_port(app, id) == 0)
		port = port_table_find(&app->ports, id);
	return port;
}

bool
component_attach(struct app *app, unsigned int component, struct port_id id, bool tx,
		struct port_side side)
{
	static struct component_set before;
	struct port *port = port_table_find(&app->ports, id);
	int index = port != NULL ? component_find_attachment(port, tx) : -1;

	if (index >= 0) {
		if (components.attachment[index].component != component) {
			log_line("the port has a component already");
			return false;
		}
		before = components;
		components.attachment[index].side = side;
		return apply_or_restore(app, &before);
	}
	if (!check_count(component, tx) || (port = open_port(app, id)) == NULL)
		return false;
	before = components;
	components.attachment[components.nattachments++] =
			(struct attachment){ component, port, tx, side };
	return apply_or_restore(app, &before);
}

bool
component_detach(struct app *app, unsigned int component, struct port_id id, bool tx)
{
	static struct component_set before;
	struct port *port = port_table_find(&app->ports, id);
	int index = port != NULL ? component_find_attachment(port, tx) : -1;

	if (index < 0 || components.attachment[index].component != component)
		return true; /* as SPP */
	before = components;
	remove_attachment((unsigned int)index);
	return apply_or_restore(app, &before);
}

bool
component_add_entry(struct app *app, struct class_entry entry)
{
	static struct component_set before;

	if (components.nentries == MAX_PORTS) {
		log_line("the limit of %d classifier entries is reached", MAX_PORTS);
		return false;
	}
	before = components;
	components.entry[components.nentries++] = entry;
	return apply_or_restore(app, &before);
}

bool
component_del_entry(struct app *app, const struct port *port)
{
	static struct component_set before;
	struct class_entry *entry = component_find_entry(port);

	if (entry == NULL)
		return true;
	before = components;
	*entry = components.entry[--components.nentries];
	return apply_or_restore(app, &before);
}
