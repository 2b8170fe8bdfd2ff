/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/event_loop.h"
#include "base/log.h"
#include "capture/captures.h"
#include "capture/server.h"
#include "security/socket_file.h"
#include "security/sudo_user.h"

#define CLIENTS_MAX 16
#define SOCKET_MODE 0600

struct client {
	struct event_source source;
	struct client *next;
};

static struct {
	struct event_source source; /* the listening socket */
	struct socket_file file;
	unsigned int number; /* in the name of the socket */
	struct app *app;
	struct client *clients;
	unsigned int nclients;
	bool failed; /* the last attempt to listen */
} server = { .source.fd = -1 };

static void
drop(struct client *c)
{
	struct client **link;

	captures_end_of_owner(server.app, c);
	event_loop_remove(&c->source);
	close(c->source.fd);
	for (link = &server.clients; *link != c; link = &(*link)->next)
		;
	*link = c->next;
	server.nclients--;
	free(c);
}

/* Send a reply, with an fd unless it is -1. Return false if the client does not read. */
static bool
send_reply(int sock, const char *text, int fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct iovec iov = { (void *)(uintptr_t)text, strlen(text) };
	struct msghdr message = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		message.msg_control = &control;
		message.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(fd));
	}
	return sendmsg(sock, &message, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)iov.iov_len;
}

static bool
send_error(int sock, const char *why)
{
	char text[CAPTURE_REPLY_MAX];

	snprintf(text, sizeof(text), "error: %s", why);
	return send_reply(sock, text, -1);
}

static bool
start_capture(struct client *c, const struct capture_request *request)
{
	char text[PORT_ID_STRLEN];
	const char *why;
	bool ok;
	int fd;

	why = captures_start(server.app, request, c, &fd);
	if (why != NULL)
		return send_error(c->source.fd, why);
	port_id_format(request->port, text);
	log_line("capture: %s %s", text, request->tx ? "tx" : "rx");
	ok = send_reply(c->source.fd, "ok", fd);
	close(fd);
	return ok;
}

static void
on_request(struct event_source *source)
{
	struct client *c = (struct client *)source;
	struct capture_request request;
	char text[CAPTURE_REQUEST_MAX + 1];
	const char *why;
	ssize_t n;
	bool ok;

	/* recv() without a control buffer discards fds that came with the packet */
	n = recv(source->fd, text, sizeof(text), MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n <= 0) {
		drop(c);
		return;
	}
	why = capture_request_parse(&request, text, (size_t)n);
	ok = why != NULL ? send_error(source->fd, why) : start_capture(c, &request);
	if (!ok)
		drop(c);
}

/* A capture has all traffic of a port, so QEMU's own user (--sock-uid) is not admitted: a guest
 * that broke out of its QEMU would see the traffic of others.
 */
static bool
is_admitted(int fd, char *why, size_t size)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len) < 0)
		snprintf(why, size, "%s", strerror(errno));
	else if (!sudo_user_is_trusted(peer.uid))
		snprintf(why, size, "user %u may not capture in this lab", peer.uid);
	else if (server.nclients >= CLIENTS_MAX)
		snprintf(why, size, "this process has %d connections already", CLIENTS_MAX);
	else
		return true;
	return false;
}

static void
on_connect(struct event_source *source)
{
	int fd = accept4(source->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	char why[128];
	struct client *c;

	if (fd < 0)
		return;
	if (!is_admitted(fd, why, sizeof(why))) {
		send_error(fd, why);
		close(fd);
		return;
	}
	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		close(fd);
		return;
	}
	c->source = (struct event_source){ fd, on_request };
	c->next = server.clients;
	server.clients = c;
	server.nclients++;
	if (event_loop_add(&c->source) < 0)
		drop(c);
}

static void
stop_listening(void)
{
	if (server.source.fd < 0)
		return;
	event_loop_remove(&server.source);
	close(server.source.fd);
	server.source.fd = -1;
	if (socket_file_is_ours(&server.file))
		unlink(server.file.path);
}

static bool
name_socket(const struct config *cfg)
{
	int len = snprintf(server.file.path, sizeof(server.file.path), "%s/spp-capture.%u.sock",
			cfg->sock_dir, server.number);

	if (len < (int)sizeof(server.file.path))
		return true;
	log_line("capture: the path of --sock-dir is too long for a socket");
	return false;
}

static bool
start_listening(const struct config *cfg)
{
	int fd;

	if (!name_socket(cfg) || socket_file_remove_stale(server.file.path) < 0)
		return false;
	fd = socket_file_listen(&server.file, SOCKET_MODE);
	if (fd < 0)
		return false;
	server.source = (struct event_source){ fd, on_connect };
	if (event_loop_add(&server.source) < 0) {
		log_line("capture: %s", strerror(errno));
		stop_listening();
		return false;
	}
	sudo_user_chown_own_socket(server.file.path);
	return true;
}

void
capture_server_start(struct app *app)
{
	server.app = app;
	server.number = UINT_MAX;
	capture_server_update();
}

void
capture_server_update(void)
{
	const struct config *cfg;
	unsigned int number;

	if (server.app == NULL)
		return;
	cfg = &server.app->cfg;
	number = cfg->primary ? 0 : cfg->client_id;
	if (server.number != number) {
		stop_listening();
		server.failed = false;
		server.number = number;
	}
	if (server.source.fd >= 0)
		return;
	/* Another process has this id until the controller assigns one. Report it once. */
	if (server.failed && socket_file_listening("/proc/net/unix", server.file.path))
		return;
	log_to_stderr(!server.failed);
	server.failed = !start_listening(cfg);
	log_to_stderr(true);
}

void
capture_server_close(void)
{
	while (server.clients != NULL)
		drop(server.clients);
	stop_listening();
	server.app = NULL;
}
