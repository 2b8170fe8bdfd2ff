/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MEMIF_LINK_H
#define MEMIF_LINK_H

#include "memif/ring.h"

/* One client's memory, rings and eventfds. Built by the control thread, then used by workers. */
struct memif_link {
	struct memif_memory memory;
	struct memif_queue in, out;
	int in_event;  /* the client's eventfds: it writes this one, */
	int out_event; /* and waits on this one */
	/* An epoll of in_event, told once an event. in_event itself is never read: the client
	 * could take the count away in between, and has the file's flags in its hands.
	 */
	int in_wait;
};

struct memif_link *memif_link_new(void);
void memif_link_free(struct memif_link *link);

/* Each takes the fd (-1: none came); NULL, or what is wrong. */
const char *memif_link_region(
		struct memif_link *link, const struct memif_add_region *region, int fd);
const char *memif_link_ring(struct memif_link *link, const struct memif_add_ring *ring, int fd);

const char *memif_link_start(struct memif_link *link);

#endif
