/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SHM_DEPOT_H
#define SHM_DEPOT_H

#include <stdint.h>

/* A lock-free store of flushed pool caches in shared memory, in front of a mempool handler. The
 * addresses of a flush move as one block. lf_stack has a list node for each mbuf instead, and reads
 * and writes nodes that another core wrote last.
 *
 * A process that is killed during an operation blocks nobody. At most one magazine and its mbufs
 * are lost.
 */

#define DEPOT_MAGAZINE 384 /* most mbufs in one: what a full pool cache flushes */
#define DEPOT_MAGAZINES 64

/* The upper 48 bits count the changes, so that a compare-and-swap never takes an old value for the
 * present one. The lower 16 bits are the index of the first magazine plus 1, or 0.
 */
struct depot_stack {
	uint64_t head;
} __attribute__((aligned(64)));

struct depot_magazine {
	uint32_t next; /* as the lower bits of a head */
	uint32_t n;
	void *object[DEPOT_MAGAZINE];
} __attribute__((aligned(64)));

struct depot {
	struct depot_stack full; /* magazines that have objects */
	struct depot_stack empty;
	struct depot_magazine magazine[DEPOT_MAGAZINES];
};

/* Initialise a depot with this number of magazines, at most DEPOT_MAGAZINES. */
void depot_init(struct depot *depot, unsigned int magazines);

/* Store n objects, at most DEPOT_MAGAZINE. Return 0, or -1 if no magazine is empty. */
int depot_put(struct depot *depot, void *const *objects, unsigned int n);

/* Take up to n objects. Return how many. */
unsigned int depot_get(struct depot *depot, void **objects, unsigned int n);

/* Return how many objects the depot has. The number is not exact while others use the depot. */
unsigned int depot_count(const struct depot *depot);

#endif
