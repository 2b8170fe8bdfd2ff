/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PORT_PORT_TABLE_H
#define PORT_PORT_TABLE_H

#include "port/port_id.h"

#define MAX_PORTS 256

struct port; /* port/port.h, or guest/vport.h */

/* The ports of a process, in the order of their creation. */
struct port_table {
	struct port *port[MAX_PORTS];
	unsigned int n;
};

struct port *port_table_find(const struct port_table *table, struct port_id id);
int port_table_insert(struct port_table *table, struct port *port);
void port_table_remove(struct port_table *table, struct port *port);

/* Remove the patches from and to this port. */
void port_table_unpatch(const struct port_table *table, struct port *port);

#endif
