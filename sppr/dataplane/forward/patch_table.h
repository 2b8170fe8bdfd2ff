/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef TABLE_H
#define TABLE_H

#include <stdbool.h>

#include "forward/lcore_assign.h"
#include "port/port.h"

/* What one worker does over and over: its patches. */
struct pair {
	uint16_t (*rx)(struct port *port, struct rte_mbuf **bufs, uint16_t n);
	uint16_t (*tx)(struct port *port, struct rte_mbuf **bufs, uint16_t n);
	struct port *src;
	struct port *dst;
};

struct table {
	unsigned int n;
	struct pair pair[];
};

/* The patches of a set of ports, divided among workers. */
struct division {
	struct port *src[MAX_PORTS];
	struct plan_item item[MAX_PORTS];
	unsigned int n;
};

/* The table of a worker with nothing to do: takes no memory, so stopping cannot fail. */
extern struct table table_of_nothing;

void table_free(struct table *table);

void division_make(struct division *d, const struct port_table *ports, bool running,
		unsigned int nworkers);

/* Whether some port goes from one worker to another. */
bool division_moves(const struct division *d);

/* One table a worker; with only_free without the patches another worker still has a hand on. -1
 * when there is no memory.
 */
int division_fill(const struct division *d, struct table **tables, unsigned int nworkers,
		bool only_free);

/* The workers now do as divided. */
void division_record(const struct division *d, const struct port_table *ports);

#endif
