/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMPAIR_IMPAIRMENT_H
#define IMPAIR_IMPAIRMENT_H

#include "impair/parameters.h"
#include "port/port.h"

/* The impairment of a patch. It is a port between the source and the destination: it takes frames,
 * holds them, and returns them when they are due. The worker of the patch uses it.
 */
struct impairment;

/* offered + duplicated = lost + overflow + no_memory + held + sent */
struct impairment_counters {
	uint64_t offered;
	uint64_t lost;
	uint64_t duplicated;
	uint64_t reordered;
	uint64_t corrupted;
	uint64_t overflow;  /* limit frames are held */
	uint64_t no_memory; /* the lab holds too many frames, or the pool is empty */
	uint64_t held;
	uint64_t sent;
};

/* The functions run on the control thread. */

/* Return NULL after logging the reason. src: the source of the patch. */
struct impairment *impairment_new(const struct port *src, const struct shared_view *view,
		const struct impair_parameters *p);

/* Replace the parameters. Frames that are held keep their times. Return -1 without memory; then
 * nothing changed.
 */
int impairment_change(struct impairment *i, const struct impair_parameters *p);

/* Free the impairments that no patch of these ports has, with the frames that they hold. No worker
 * may use them.
 */
void impairments_release_unused(const struct port_table *ports);

const struct impair_parameters *impairment_parameters(const struct impairment *i);
const struct impairment_counters *impairment_counters(const struct impairment *i);

/* Return the port of an impairment. */
struct port *impairment_port(struct impairment *i);

/* Return the port that a patch sends to: the one of its impairment, or its destination. */
static inline struct port *
impairment_or(struct impairment *i, struct port *dst)
{
	return i != NULL ? impairment_port(i) : dst;
}

#endif
