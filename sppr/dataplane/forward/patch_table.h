/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FORWARD_PATCH_TABLE_H
#define FORWARD_PATCH_TABLE_H

#include <stdbool.h>

#include "forward/lcore_assign.h"
#include "port/port.h"

/* The patches of one worker. */
struct patch_entry {
	uint16_t (*rx)(struct port *port, struct rte_mbuf **bufs, uint16_t n);
	uint16_t (*tx)(struct port *port, struct rte_mbuf **bufs, uint16_t n);
	struct port *src;
	struct port *dst;
	bool counts_bytes; /* one of the ports does */
};

struct patch_table {
	unsigned int n;
	struct patch_entry entry[];
};

/* The patches of a set of ports, assigned to workers. */
struct patch_assignment {
	struct port *src[MAX_PORTS];
	struct lcore_assign_item item[MAX_PORTS];
	unsigned int n;
};

/* The table of a worker without patches. It needs no memory, so stopping cannot fail. */
extern struct patch_table patch_table_empty;

void patch_table_free(struct patch_table *table);

void patch_assignment_make(struct patch_assignment *d, const struct port_table *ports, bool running,
		unsigned int nworkers);

/* Return whether a port changes its worker. */
bool patch_assignment_moves_port(const struct patch_assignment *d);

/* Make one table for each worker. With only_free, leave out the patches that another worker still
 * uses. Return -1 without memory.
 */
int patch_assignment_make_tables(const struct patch_assignment *d, struct patch_table **tables,
		unsigned int nworkers, bool only_free);

/* Record that the workers follow this assignment. */
void patch_assignment_record(const struct patch_assignment *d, const struct port_table *ports);

#endif
