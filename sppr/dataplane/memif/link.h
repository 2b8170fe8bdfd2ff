/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MEMIF_LINK_H
#define MEMIF_LINK_H

#include "memif/ring.h"

/* The memory, rings and eventfds of one client. The control thread builds it, workers use it. */
struct memif_link {
	struct memif_memory memory;
	struct memif_queue in, out;
	int in_event;  /* eventfd that the client writes */
	int out_event; /* eventfd that the client waits on */
	/* An edge-triggered epoll of in_event. This process never reads in_event itself: the client
	 * could empty the counter first, and can change the flags of the file.
	 */
	int in_wait;
};

struct memif_link *memif_link_new(void);
void memif_link_free(struct memif_link *link);

/* Each function takes over the fd (-1: there is none). Returns NULL, or the error text. */
const char *memif_link_region(
		struct memif_link *link, const struct memif_add_region *region, int fd);
const char *memif_link_ring(struct memif_link *link, const struct memif_add_ring *ring, int fd);

const char *memif_link_start(struct memif_link *link);

#endif
