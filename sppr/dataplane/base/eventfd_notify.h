/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_EVENTFD_NOTIFY_H
#define BASE_EVENTFD_NOTIFY_H

#include <linux/aio_abi.h>

/* Write to an eventfd that an untrusted process shares. A plain write can block: the other side can
 * fill the counter and clear O_NONBLOCK. The signal that the kernel sends when an asynchronous read
 * completes never blocks. It takes 750 ns.
 */
struct eventfd_notify {
	aio_context_t context;
	int null_fd; /* /dev/null, for the read */
};

/* Return 0, or -1 after logging the reason. */
int eventfd_notify_open(struct eventfd_notify *notify);
void eventfd_notify_close(struct eventfd_notify *notify);

/* Use it from one thread at a time. An fd that is not an eventfd is ignored. */
void eventfd_notify_send(const struct eventfd_notify *notify, int eventfd);

#endif
