/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CAPTURE_HOOK_H
#define CAPTURE_HOOK_H

#include <stdbool.h>
#include <stdint.h>

struct capture_producer;
struct rte_mbuf;

#define CAPTURES_PER_SIDE 4

/* The captures of one side of a port. The control thread sets and clears a slot while the worker of
 * the port runs, and frees a ring after the worker has seen this.
 */
struct capture_slots {
	struct capture_producer *slot[CAPTURES_PER_SIDE];
};

/* The captures that a burst goes to. A slot may change during the burst. */
struct capture_burst {
	struct capture_producer *ring[CAPTURES_PER_SIDE];
	unsigned int n;
};

bool capture_slots_used(const struct capture_slots *slots);

/* The hot path: no log, no system call, no allocation, no lock. */

/* Copy frames. They may be freed afterwards. */
void capture_burst_copy(struct capture_burst *burst, const struct capture_slots *slots,
		struct rte_mbuf **bufs, uint16_t n);

/* Publish the first n of these frames. */
void capture_burst_commit(const struct capture_burst *burst, uint16_t n);

#endif
