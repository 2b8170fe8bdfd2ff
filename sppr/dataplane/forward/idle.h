/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FORWARD_IDLE_H
#define FORWARD_IDLE_H

#include <poll.h>

#include "forward/patch_table.h"
#include "forward/ring_notify.h"

/* How a worker with nothing to forward sleeps: until an event of a port it polls, or of the
 * control thread. While a source has no event to wait on, naps that grow.
 */
struct idle {
	int control_fd; /* eventfd: the control thread has something new */
	struct ring_notify notify;
	unsigned int nap_ns;
	unsigned int n;
	struct pollfd fds[MAX_PORTS + 2];
	int fd_of[MAX_PORTS]; /* index into fds, or what arm said */
};

int idle_open(struct idle *s);
void idle_close(struct idle *s);

/* From another thread: there is something new. */
void idle_wake(const struct idle *s);

/* There was something to forward: the next nap is a short one. */
void idle_reset(struct idle *s);

/* In this order; between arm and wait the worker looks once more, and waits only if there was
 * still nothing.
 */
void idle_arm(struct idle *s, const struct patch_table *table);
void idle_wait(struct idle *s, const struct patch_table *table);
void idle_disarm(struct idle *s, const struct patch_table *table);

#endif
