/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "app.h"
#include "base/log.h"

struct port *
port_table_find(const struct port_table *table, struct port_id id)
{
	unsigned int i;

	for (i = 0; i < table->n; i++)
		if (port_id_equal(table->port[i]->id, id))
			return table->port[i];
	return NULL;
}

int
port_table_insert(struct port_table *table, struct port *port)
{
	if (table->n == MAX_PORTS) {
		log_line("the limit of %d ports is reached", MAX_PORTS);
		return -1;
	}
	table->port[table->n++] = port;
	return 0;
}

void
port_table_remove(struct port_table *table, struct port *port)
{
	unsigned int i;

	for (i = 0; i < table->n && table->port[i] != port; i++)
		;
	if (i == table->n)
		return;
	table->n--;
	memmove(&table->port[i], &table->port[i + 1], (table->n - i) * sizeof(table->port[0]));
}

#ifndef SPP_GUEST
/* Remove the rules of src that lead to port. */
static void
remove_rules(struct port *src, const struct port *port)
{
	unsigned int i, left = 0;

	for (i = 0; src->rules != NULL && i < src->rules->n; i++)
		if (src->rules->rule[i].dst != port)
			src->rules->rule[left++] = src->rules->rule[i];
	if (src->rules == NULL)
		return;
	src->rules->n = left;
	if (left == 0) {
		free(src->rules);
		src->rules = NULL;
	}
}
#endif

void
port_table_unpatch(const struct port_table *table, struct port *port)
{
	struct port *src;
	unsigned int i;

	for (i = 0; i < table->n; i++) {
		src = table->port[i];
		if (src->patched_to == port || src == port) {
			src->patched_to = NULL;
#ifndef SPP_GUEST
			src->impairment = NULL;
#endif
		}
#ifndef SPP_GUEST
		if (src->mirrored_to == port || src == port)
			src->mirrored_to = NULL;
		remove_rules(src, port);
#endif
	}
#ifndef SPP_GUEST
	free(port->rules);
	port->rules = NULL;
#endif
}
