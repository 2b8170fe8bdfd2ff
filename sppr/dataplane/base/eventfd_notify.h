/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_EVENTFD_NOTIFY_H
#define BASE_EVENTFD_NOTIFY_H

#include <linux/aio_abi.h>

/* Writes to an eventfd that somebody else holds, too. A plain write can be made to block: the other
 * side fills the counter and takes O_NONBLOCK away. The kernel's own signal at the end of an
 * asynchronous read never does. 750 ns.
 */
struct eventfd_notify {
	aio_context_t context;
	int null_fd; /* what is read: /dev/null */
};

/* 0, or -1 after saying why. */
int eventfd_notify_open(struct eventfd_notify *notify);
void eventfd_notify_close(struct eventfd_notify *notify);

/* From one thread at a time. An fd that is no eventfd is passed over. */
void eventfd_notify_send(const struct eventfd_notify *notify, int eventfd);

#endif
