/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MEMIF_PEER_H
#define MEMIF_PEER_H

#include <stdbool.h>

#include "memif/link.h"

/* A port that waits for a client with its id. The control thread calls both functions. */
struct memif_endpoint {
	uint32_t id;
	struct memif_peer *peer; /* the connected client */
	void (*connected)(struct memif_endpoint *endpoint, struct memif_link *link);
	/* Must return only after the last worker has stopped using the link. */
	void (*disconnected)(struct memif_endpoint *endpoint);
	struct memif_endpoint *next;
};

/* The peer of one control channel, without the socket. */
struct memif_peer {
	struct memif_endpoint *endpoint; /* NULL before INIT */
	struct memif_link *link;
	bool connected;
};

void memif_make_hello(struct memif_message *message);
void memif_make_disconnect(struct memif_message *message, const char *why);

/* Handle a message other than DISCONNECT. Takes over the fd. Return NULL and the reply (type 0: no
 * reply), or the reason to disconnect the peer.
 */
const char *memif_peer_handle(struct memif_peer *peer, struct memif_endpoint *endpoints,
		const struct memif_message *in, int fd, struct memif_message *reply);

/* Release the endpoint and the memory. */
void memif_peer_close(struct memif_peer *peer);

#endif
