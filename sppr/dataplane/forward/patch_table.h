/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FORWARD_PATCH_TABLE_H
#define FORWARD_PATCH_TABLE_H

#include <stdbool.h>

#include "forward/lcore_assign.h"
#include "port/port.h"

/* Links of a process: from each source to each of its destinations. */
#define MAX_LINKS 1024

/* A link with an impairment has three entries: to it, and twice from it. */
#define MAX_ENTRIES_PER_LINK 3

/* The patches of one worker. dst is a port, or a fanout (forward/fanout.h) that the table owns. */
struct patch_entry {
	burst_function *rx;
	burst_function *tx;
	struct port *src;
	struct port *dst;
	bool counts_bytes; /* one of the ports does */
	bool is_fanout;	   /* dst is a fanout: call tx with 0 frames when src has none */
};

struct patch_table {
	unsigned int n;
	struct patch_entry entry[];
};

/* The links of a set of ports, assigned to workers. Those of one source follow each other. */
struct patch_assignment {
	struct port *src[MAX_LINKS];
	struct port *dst[MAX_LINKS];
	struct lcore_assign_item item[MAX_LINKS];
	unsigned int n;
};

/* The table of a worker without patches. It needs no memory, so stopping cannot fail. */
extern struct patch_table patch_table_empty;

/* Free a table with its fanouts and the frames that they still have. */
void patch_table_free(struct patch_table *table);

/* Send the frames that fanouts of this table still have. Its worker calls it before another table
 * replaces this one.
 */
void patch_table_flush(const struct patch_table *table);

/* Return -1, after logging it, if there are more than MAX_LINKS. */
int patch_assignment_make(struct patch_assignment *d, const struct port_table *ports, bool running,
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
