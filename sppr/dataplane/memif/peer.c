/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "memif/peer.h"

#define OUR_NAME "sppr"

void
memif_make_hello(struct memif_message *message)
{
	memset(message, 0, sizeof(*message));
	message->type = MEMIF_HELLO;
	message->hello = (struct memif_hello){
		.name = OUR_NAME,
		.min_version = MEMIF_VERSION,
		.max_version = MEMIF_VERSION,
		.max_region = MEMIF_REGIONS - 1,
		.max_log2 = MEMIF_LOG2_MAX,
	};
}

void
memif_make_disconnect(struct memif_message *message, const char *why)
{
	memset(message, 0, sizeof(*message));
	message->type = MEMIF_DISCONNECT;
	strncpy(message->disconnect.reason, why, sizeof(message->disconnect.reason) - 1);
}

static const char *
handle_init(struct memif_peer *peer, struct memif_endpoint *endpoints,
		const struct memif_init *init)
{
	struct memif_endpoint *e;

	if (init->version != MEMIF_VERSION)
		return "Incompatible memif version";
	if (init->mode != 0)
		return "Only ethernet mode supported";
	for (e = endpoints; e != NULL && e->id != init->id; e = e->next)
		;
	if (e == NULL)
		return "ID not found";
	if (e->peer != NULL)
		return "Already connected";
	peer->link = memif_link_new();
	if (peer->link == NULL)
		return "No memory";
	peer->endpoint = e;
	e->peer = peer;
	return NULL;
}

static const char *
handle_connect(struct memif_peer *peer, struct memif_message *reply)
{
	const char *why = memif_link_start(peer->link);

	if (why != NULL)
		return why;
	peer->connected = true;
	peer->endpoint->connected(peer->endpoint, peer->link);
	reply->type = MEMIF_CONNECTED;
	snprintf(reply->connected.name, sizeof(reply->connected.name), OUR_NAME "-memif%u",
			peer->endpoint->id);
	return NULL;
}

/* Return whether a message of this type is allowed now. */
static bool
expected(const struct memif_peer *peer, uint16_t type)
{
	switch (type) {
	case MEMIF_INIT:
		return peer->endpoint == NULL;
	case MEMIF_ADD_REGION:
	case MEMIF_ADD_RING:
	case MEMIF_CONNECT:
		return peer->endpoint != NULL && !peer->connected;
	default:
		return type == MEMIF_ACK;
	}
}

const char *
memif_peer_handle(struct memif_peer *peer, struct memif_endpoint *endpoints,
		const struct memif_message *in, int fd, struct memif_message *reply)
{
	memset(reply, 0, sizeof(*reply));
	if (expected(peer, in->type)) {
		reply->type = MEMIF_ACK;
		if (in->type == MEMIF_ADD_REGION)
			return memif_link_region(peer->link, &in->region, fd);
		if (in->type == MEMIF_ADD_RING)
			return memif_link_ring(peer->link, &in->ring, fd);
	}
	if (fd >= 0)
		close(fd);
	if (!expected(peer, in->type))
		return "Unexpected message";
	if (in->type == MEMIF_INIT)
		return handle_init(peer, endpoints, &in->init);
	if (in->type == MEMIF_CONNECT)
		return handle_connect(peer, reply);
	reply->type = 0;
	return NULL;
}

void
memif_peer_close(struct memif_peer *peer)
{
	if (peer->connected)
		peer->endpoint->disconnected(peer->endpoint);
	if (peer->endpoint != NULL)
		peer->endpoint->peer = NULL;
	memif_link_free(peer->link);
	*peer = (struct memif_peer){ .link = NULL };
}
