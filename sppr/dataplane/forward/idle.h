/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FORWARD_IDLE_H
#define FORWARD_IDLE_H

#include <poll.h>

#include "forward/patch_table.h"
#include "forward/ring_notify.h"

/* Let a worker sleep that has nothing to forward, until an event of a port that it polls or of the
 * control thread. While a source has no event to wait for, the worker sleeps for a fixed time,
 * longer each time.
 */
struct idle {
	int control_fd; /* eventfd of the control thread */
	struct ring_notify notify;
	unsigned int sleep_ns; /* the next sleep without an event */
	unsigned int n;
	struct pollfd fds[MAX_ENTRIES_PER_LINK * MAX_LINKS + 2];
	int fd_of[MAX_ENTRIES_PER_LINK * MAX_LINKS]; /* index into fds, or the WAIT_ value of arm */
};

int idle_open(struct idle *s);
void idle_close(struct idle *s);

/* Wake the worker. Call it from another thread. */
void idle_wake(const struct idle *s);

/* Shorten the next sleep, because there were packets. */
void idle_reset(struct idle *s);

/* Call these three in this order. The worker polls once more between arm and wait, and waits only
 * if there are still no packets.
 */
void idle_arm(struct idle *s, const struct patch_table *table);
void idle_wait(struct idle *s, const struct patch_table *table);
void idle_disarm(struct idle *s, const struct patch_table *table);

#endif
