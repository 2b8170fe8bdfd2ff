/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FORWARD_RING_NOTIFY_H
#define FORWARD_RING_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_atomic.h>
#include <rte_branch_prediction.h>

/* How the process that fills a ring wakes the worker that sleeps on it. The sleeper listens on a
 * datagram socket in the abstract name space (a kill leaves nothing behind) and puts the socket's
 * token into a word of the shared memory; whoever fills the ring takes the token out and sends.
 */
struct ring_notify {
	int fd; /* readable when somebody woke us */
	uint64_t token;
};

/* Once a process, before its first worker runs. */
void ring_notify_init(void);

int ring_notify_open(struct ring_notify *notify);
void ring_notify_close(struct ring_notify *notify);
void ring_notify_drain(const struct ring_notify *notify);

/* Takes the token, if it is still there, and sends. */
void ring_notify_send(uint64_t *sleeper);

/* Between announcing oneself asleep and the last look: orders our store against the loads of
 * every process that called ring_notify_init, so that they need no fence a burst.
 */
void ring_notify_barrier(void);

/* The kernel has no membarrier for several processes: the filling side fences itself. */
extern bool ring_notify_needs_fence;

/* The filling side, after each burst. */
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
