/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef WAKER_H
#define WAKER_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_atomic.h>
#include <rte_branch_prediction.h>

/* How the process that fills a ring wakes the worker that sleeps on it. The sleeper listens on a
 * datagram socket in the abstract name space (a kill leaves nothing behind) and puts the socket's
 * token into a word of the shared memory; whoever fills the ring takes the token out and sends.
 */
struct waker {
	int fd; /* readable when somebody woke us */
	uint64_t token;
};

/* Once a process, before its first worker runs. */
void waker_set_up(void);

int waker_open(struct waker *waker);
void waker_close(struct waker *waker);
void waker_drain(const struct waker *waker);

/* Takes the token, if it is still there, and sends. */
void waker_send(uint64_t *sleeper);

/* Between announcing oneself asleep and the last look: orders our store against the loads of
 * every process that called waker_set_up, so that they need no fence a burst.
 */
void waker_barrier(void);

/* The kernel has no membarrier for several processes: the filling side fences itself. */
extern bool waker_needs_fence;

/* The filling side, after each burst. */
static inline void
waker_notice(uint64_t *sleeper)
{
	if (waker_needs_fence)
		rte_smp_mb();
	else
		rte_compiler_barrier();
	if (unlikely(__atomic_load_n(sleeper, __ATOMIC_RELAXED) != 0))
		waker_send(sleeper);
}

#endif
