/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FORWARD_RING_NOTIFY_H
#define FORWARD_RING_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_atomic.h>
#include <rte_branch_prediction.h>

/* Wake the worker that sleeps on a ring from the process that fills the ring. The worker binds a
 * datagram socket in the abstract namespace, so a kill leaves nothing behind, and stores the token
 * of the socket in shared memory. The process that fills the ring takes the token and sends a
 * datagram.
 */
struct ring_notify {
	int fd; /* readable after a wake-up */
	uint64_t token;
};

/* Call it once, before the first worker starts. */
void ring_notify_init(void);

int ring_notify_open(struct ring_notify *notify);
void ring_notify_close(struct ring_notify *notify);
void ring_notify_drain(const struct ring_notify *notify);

/* Take the token, if it is still there, and send. */
void ring_notify_send(uint64_t *sleeper);

/* Order the store of the token before the last poll, against the loads of every process that called
 * ring_notify_init(). So the filling side needs no fence for each burst.
 */
void ring_notify_barrier(void);

/* The kernel has no membarrier across processes: the filling side must use a fence. */
extern bool ring_notify_needs_fence;

/* Call it on the filling side after each burst. */
static inline void
ring_notify_filled(uint64_t *sleeper)
{
	if (ring_notify_needs_fence)
		rte_smp_mb();
	else
		rte_compiler_barrier();
	if (unlikely(__atomic_load_n(sleeper, __ATOMIC_RELAXED) != 0))
		ring_notify_send(sleeper);
}

#endif
