/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef KICK_H
#define KICK_H

#include <linux/aio_abi.h>

/* Writes to an eventfd that somebody else holds, too. A plain write can be made to block: the other
 * side fills the counter and takes O_NONBLOCK away. The kernel's own signal at the end of an
 * asynchronous read never does. 750 ns.
 */
struct kick {
	aio_context_t context;
	int nothing; /* what is read: /dev/null */
};

/* 0, or -1 after saying why. */
int kick_open(struct kick *kick);
void kick_close(struct kick *kick);

/* From one thread at a time. An fd that is no eventfd is passed over. */
void kick_send(const struct kick *kick, int eventfd);

#endif
