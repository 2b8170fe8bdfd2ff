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

#define STRANGERS_MAX 8 /* connected, and have not said what they want */

struct connection {
	struct watch watch;
	struct memif_peer peer;
	struct connection *next;
};

static struct {
	struct watch watch; /* accepts */
	struct memif_name name;
	struct memif_endpoint *endpoints;
	struct connection *connections; /* the oldest first */
} server = { .watch.fd = -1 };

/* why: what we do not like, or NULL: the peer has gone by itself. */
static void
drop(struct connection *c, const char *why)
{
	struct connection **link;
	struct memif_message message;

	if (c->peer.endpoint != NULL)
		say("memif:%u: the peer has gone%s%s", c->peer.endpoint->id,
				why != NULL ? ": " : "", why != NULL ? why : "");
	else if (why != NULL)
		say("memif: a peer refused: %s", why);
	if (why != NULL) {
		memif_goodbye(&message, why);
		memif_send(c->watch.fd, &message);
	}
	memif_peer_leave(&c->peer);
	watch_remove(&c->watch);
	close(c->watch.fd);
	for (link = &server.connections; *link != c; link = &(*link)->next)
		;
	*link = c->next;
	free(c);
}

static void
take(struct connection *c, const struct memif_message *in, int fd)
{
	struct memif_message answer;
	char text[sizeof(in->disconnect.reason)];
	const char *why;

	if (in->type == MEMIF_DISCONNECT) {
		memif_text(text, sizeof(text), in->disconnect.reason, sizeof(text));
		if (c->peer.endpoint != NULL && text[0] != '\0')
			say("memif:%u: the peer says: %s", c->peer.endpoint->id, text);
		if (fd >= 0)
			close(fd);
		drop(c, NULL);
		return;
	}
	why = memif_peer_take(&c->peer, server.endpoints, in, fd, &answer);
	if (why != NULL) {
		drop(c, why);
		return;
	}
	if (in->type == MEMIF_CONNECT) {
		memif_text(text, sizeof(text), in->connect.name, sizeof(in->connect.name));
		say("memif:%u: a peer is there (%s)", c->peer.endpoint->id, text);
	}
	if (answer.type != 0 && !memif_send(c->watch.fd, &answer))
		drop(c, NULL);
}

static void
on_message(struct watch *watch)
{
	struct connection *c = (struct connection *)watch;
	struct memif_message message;
	int fd;

	switch (memif_receive(watch->fd, &message, &fd)) {
	case MEMIF_MESSAGE:
		take(c, &message, fd);
		break;
	case MEMIF_WRONG:
		drop(c, "Invalid message size");
		break;
	case MEMIF_CLOSED:
		drop(c, NULL);
		break;
	case MEMIF_NOTHING:
		break;
	}
}

/* Room for a newcomer: whoever connects and says nothing keeps nobody out. */
static void
drop_stranger(void)
{
	struct connection *c, *oldest = NULL;
	unsigned int n = 0;

	for (c = server.connections; c != NULL; c = c->next) {
		if (c->peer.endpoint != NULL)
			continue;
		if (n++ == 0)
			oldest = c;
	}
	if (n >= STRANGERS_MAX)
		drop(oldest, "Too many connections");
}

static void
on_connect(struct watch *watch)
{
	int fd = accept4(watch->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	struct connection **last, *c;
	struct memif_message hello;

	if (fd < 0)
		return;
	drop_stranger();
	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		close(fd);
		return;
	}
	c->watch = (struct watch){ fd, on_message };
	for (last = &server.connections; *last != NULL; last = &(*last)->next)
		;
	*last = c;
	memif_hello(&hello);
	if (watch_add(&c->watch) < 0 || !memif_send(fd, &hello))
		drop(c, NULL);
}

static int
start(const char *dir, unsigned int number)
{
	int fd = memif_name_listen(&server.name, dir, number);

	if (fd < 0)
		return -1;
	server.watch = (struct watch){ fd, on_connect };
	if (watch_add(&server.watch) == 0)
		return 0;
	say("memif: %s", strerror(errno));
	memif_name_close(&server.name, fd);
	server.watch.fd = -1;
	return -1;
}

static void
stop(void)
{
	while (server.connections != NULL)
		drop(server.connections, "No port");
	watch_remove(&server.watch);
	memif_name_close(&server.name, server.watch.fd);
	server.watch.fd = -1;
}

int
memif_server_add(struct memif_endpoint *endpoint, const char *dir, unsigned int number)
{
	if (server.watch.fd < 0 && start(dir, number) < 0)
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
	struct connection *c;

	for (c = server.connections; c != NULL && c->peer.endpoint != endpoint; c = c->next)
		;
	if (c != NULL)
		drop(c, "Port deleted");
	for (link = &server.endpoints; *link != endpoint; link = &(*link)->next)
		;
	*link = endpoint->next;
	if (server.endpoints == NULL)
		stop();
}
