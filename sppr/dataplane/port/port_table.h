/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PORTTABLE_H
#define PORTTABLE_H

#include "port/port_id.h"

#define MAX_PORTS 256

struct port; /* port.h, or the guest's vport.h */

/* The ports of a process, in the order they came. */
struct port_table {
	struct port *port[MAX_PORTS];
	unsigned int n;
};

struct port *port_find(const struct port_table *table, struct uid uid);
int port_insert(struct port_table *table, struct port *port);
void port_remove(struct port_table *table, struct port *port);

/* Drops the patches from and to this port. */
void port_unpatch(const struct port_table *table, struct port *port);

#endif
