/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IDLE_H
#define IDLE_H

#include <poll.h>

#include "forward/patch_table.h"
#include "forward/ring_notify.h"

/* How a worker with nothing to forward sleeps: until an event of a port it polls, or of the
 * control thread. While a source has no event to wait on, naps that grow.
 */
struct sleeper {
	int control_fd; /* eventfd: the control thread has something new */
	struct waker waker;
	unsigned int nap_ns;
	unsigned int n;
	struct pollfd fds[MAX_PORTS + 2];
	int of_pair[MAX_PORTS]; /* index into fds, or what arm said */
};

int sleeper_open(struct sleeper *s);
void sleeper_close(struct sleeper *s);

/* From another thread: there is something new. */
void sleeper_wake(const struct sleeper *s);

/* There was something to forward: the next nap is a short one. */
void sleeper_rested(struct sleeper *s);

/* In this order; between arm and wait the worker looks once more, and waits only if there was
 * still nothing.
 */
void sleeper_arm(struct sleeper *s, const struct table *table);
void sleeper_wait(struct sleeper *s, const struct table *table);
void sleeper_disarm(struct sleeper *s, const struct table *table);

#endif
