/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/event_loop.h"
#include "base/log.h"
#include "memif/name.h"
#include "memif/server.h"
#include "memif/socket.h"

#define UNIDENTIFIED_MAX 8 /* connected clients that have not sent INIT */

struct client {
	struct event_source source;
	struct memif_peer peer;
	struct client *next;
};

static struct {
	struct event_source source; /* the listening socket */
	struct memif_name name;
	struct memif_endpoint *endpoints;
	struct client *clients; /* oldest first */
} server = { .source.fd = -1 };

/* Disconnect a client. why is our reason, or NULL if the client closed the connection. */
static void
drop(struct client *c, const char *why)
{
	struct client **link;
	struct memif_message message;

	if (c->peer.endpoint != NULL)
		log_line("memif:%u: the peer disconnected%s%s", c->peer.endpoint->id,
				why != NULL ? ": " : "", why != NULL ? why : "");
	else if (why != NULL)
		log_line("memif: refused a client: %s", why);
	if (why != NULL) {
		memif_make_disconnect(&message, why);
		memif_send(c->source.fd, &message);
	}
	memif_peer_close(&c->peer);
	event_loop_remove(&c->source);
	close(c->source.fd);
	for (link = &server.clients; *link != c; link = &(*link)->next)
		;
	*link = c->next;
	free(c);
}

static void
handle_message(struct client *c, const struct memif_message *in, int fd)
{
	struct memif_message reply;
	char text[sizeof(in->disconnect.reason)];
	const char *why;

	if (in->type == MEMIF_DISCONNECT) {
		memif_text(text, sizeof(text), in->disconnect.reason, sizeof(text));
		if (c->peer.endpoint != NULL && text[0] != '\0')
			log_line("memif:%u: message of the peer: %s", c->peer.endpoint->id, text);
		if (fd >= 0)
			close(fd);
		drop(c, NULL);
		return;
	}
	why = memif_peer_handle(&c->peer, server.endpoints, in, fd, &reply);
	if (why != NULL) {
		drop(c, why);
		return;
	}
	if (in->type == MEMIF_CONNECT) {
		memif_text(text, sizeof(text), in->connect.name, sizeof(in->connect.name));
		log_line("memif:%u: a peer is there (%s)", c->peer.endpoint->id, text);
	}
	if (reply.type != 0 && !memif_send(c->source.fd, &reply))
		drop(c, NULL);
}

static void
on_message(struct event_source *source)
{
	struct client *c = (struct client *)source;
	struct memif_message message;
	int fd;

	switch (memif_receive(source->fd, &message, &fd)) {
	case MEMIF_MESSAGE:
		handle_message(c, &message, fd);
		break;
	case MEMIF_INVALID:
		drop(c, "Invalid message size");
		break;
	case MEMIF_CLOSED:
		drop(c, NULL);
		break;
	case MEMIF_NOTHING:
		break;
	}
}

/* Limit the clients that have not sent INIT, so that they cannot keep others out. */
static void
drop_oldest_unidentified(void)
{
	struct client *c, *oldest = NULL;
	unsigned int n = 0;

	for (c = server.clients; c != NULL; c = c->next) {
		if (c->peer.endpoint != NULL)
			continue;
		if (n++ == 0)
			oldest = c;
	}
	if (n >= UNIDENTIFIED_MAX)
		drop(oldest, "Too many connections");
}

static void
on_connect(struct event_source *source)
{
	int fd = accept4(source->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct client **last, *c;
	struct memif_message hello;

	if (fd < 0)
		return;
	drop_oldest_unidentified();
	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		close(fd);
		return;
	}
	c->source = (struct event_source){ fd, on_message };
	for (last = &server.clients; *last != NULL; last = &(*last)->next)
		;
	*last = c;
	memif_make_hello(&hello);
	if (event_loop_add(&c->source) < 0 || !memif_send(fd, &hello))
		drop(c, NULL);
}

static int
start(const char *dir, unsigned int number)
{
	int fd = memif_name_listen(&server.name, dir, number);

	if (fd < 0)
		return -1;
	server.source = (struct event_source){ fd, on_connect };
	if (event_loop_add(&server.source) == 0)
		return 0;
	log_line("memif: %s", strerror(errno));
	memif_name_close(&server.name, fd);
	server.source.fd = -1;
	return -1;
}

static void
stop(void)
{
	while (server.clients != NULL)
		drop(server.clients, "No port");
	event_loop_remove(&server.source);
	memif_name_close(&server.name, server.source.fd);
	server.source.fd = -1;
}

int
memif_server_add(struct memif_endpoint *endpoint, const char *dir, unsigned int number)
{
	if (server.source.fd < 0 && start(dir, number) < 0)
		return -1;
	endpoint->peer = NULL;
	endpoint->next = server.endpoints;
	server.endpoints = endpoint;
	return 0;
}

void
memif_server_remove(struct memif_endpoint *endpoint)
{
	struct memif_endpoint **link;
	struct client *c;

	for (c = server.clients; c != NULL && c->peer.endpoint != endpoint; c = c->next)
		;
	if (c != NULL)
		drop(c, "Port deleted");
	for (link = &server.endpoints; *link != endpoint; link = &(*link)->next)
		;
	*link = endpoint->next;
	if (server.endpoints == NULL)
		stop();
}
