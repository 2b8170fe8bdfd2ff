/* SPDX-License-Identifier: BSD-3-Clause */
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

void
port_table_unpatch(const struct port_table *table, struct port *port)
{
	unsigned int i;

	for (i = 0; i < table->n; i++)
		if (table->port[i]->patched_to == port)
			table->port[i]->patched_to = NULL;
	port->patched_to = NULL;
}
