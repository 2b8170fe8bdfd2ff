/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MEMIF_PEER_H
#define MEMIF_PEER_H

#include <stdbool.h>

#include "memif/link.h"

/* A port that waits for a client of its id. Both calls come on the control thread. */
struct memif_endpoint {
	uint32_t id;
	struct memif_peer *peer; /* who has it */
	void (*connected)(struct memif_endpoint *endpoint, struct memif_link *link);
	/* Returns when no worker uses the link any more. */
	void (*disconnected)(struct memif_endpoint *endpoint);
	struct memif_endpoint *next;
};

/* The other end of one control channel, without the socket. */
struct memif_peer {
	struct memif_endpoint *endpoint; /* NULL before its INIT */
	struct memif_link *link;
	bool connected;
};

void memif_make_hello(struct memif_message *message);
void memif_make_disconnect(struct memif_message *message, const char *why);

/* One message that is not DISCONNECT. Takes the fd. NULL with the answer (type 0: none), or why
 * the peer is to be refused.
 */
const char *memif_peer_handle(struct memif_peer *peer, struct memif_endpoint *endpoints,
		const struct memif_message *in, int fd, struct memif_message *answer);

/* Give up the endpoint and the memory. */
void memif_peer_close(struct memif_peer *peer);

#endif
