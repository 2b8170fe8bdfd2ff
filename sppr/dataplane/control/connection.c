/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "control/connection.h"
#ifndef SPP_GUEST
#include "security/peer_owner.h"
#include "security/sudo_user.h"
#endif
#include "base/log.h"

#define SECOND_NS 1000000000ULL
#define CONNECT_TIMEOUT_NS (5 * SECOND_NS)
#define WRITE_TIMEOUT_NS (5 * SECOND_NS)
#define WAIT_MS 250
#define WAIT_CHECK_MS 10 /* for the first second: a local controller accepts at once */

void
connection_init(struct connection *c, struct app *app, int stop_fd)
{
	memset(c, 0, sizeof(*c));
	c->app = app;
	c->fd = -1;
	c->stop_fd = stop_fd;
}

void
connection_close(struct connection *c)
{
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->connected = false;
	c->checking = false;
}

static void
failed(struct connection *c, const char *why)
{
	if (c->connected)
		log_line("lost the controller %s (%s); state kept, retrying every second",
				c->app->cfg.controller_text, why);
	else if (!c->logged_failure)
		log_line("no controller at %s (%s); retrying every second",
				c->app->cfg.controller_text, why);
	c->logged_failure = true;
	connection_close(c);
	c->deadline_ns = monotonic_ns() + SECOND_NS;
}

#ifdef SPP_GUEST
/* QEMU keeps its connection to the controller when a process of the guest ends and another starts.
 * So each new process sends this text. The controller knows it (controller/server/access.py).
 */
static void
send_hello(const struct connection *c)
{
	static const char hello[] = "\0spp_vm hello 1\0\n";

	if (c->app->cfg.hello && send(c->fd, hello, sizeof(hello) - 1, MSG_NOSIGNAL) < 0)
		log_line("cannot announce this process to the controller: %s", strerror(errno));
}
#endif

static void
connected(struct connection *c)
{
	const struct config *cfg = &c->app->cfg;
	int one = 1;

	setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one));
	setsockopt(c->fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one));
	c->connected = true;
	c->checking = false;
	c->logged_failure = false;
	c->refused = false;
#ifdef SPP_GUEST
	send_hello(c);
#endif
	if (cfg->primary)
		log_line("connected to %s as primary", cfg->controller_text);
	else
		log_line("connected to %s as id %u", cfg->controller_text, cfg->client_id);
}

#ifdef SPP_GUEST
/* The controller is on the host, where the guest cannot check its owner. */
static void
check_owner(struct connection *c)
{
	connected(c);
}
#else
static void
refuse(struct connection *c, uid_t uid)
{
	if (!c->refused)
		log_line("the controller at %s belongs to uid %u, which is neither root nor the "
			 "user of "
			 "this lab; not connecting",
				c->app->cfg.controller_text, uid);
	c->refused = true;
	connection_close(c);
	c->deadline_ns = monotonic_ns() + SECOND_NS;
}

/* The controller commands a process of root, so the other end must be a process of root or of this
 * lab's user. Nothing is received before this check. There is no timeout: as long as no process has
 * accepted the connection, no process can send commands.
 */
static void
check_owner(struct connection *c)
{
	uid_t uid;

	switch (peer_owner_find(c->fd, &uid)) {
	case PEER_REMOTE:
		connected(c);
		break;
	case PEER_FOUND:
		if (sudo_user_is_trusted(uid))
			connected(c);
		else
			refuse(c, uid);
		break;
	case PEER_PENDING:
	case PEER_UNKNOWN:
		break;
	}
}
#endif

static void
start_check(struct connection *c)
{
	c->checking = true;
	c->checking_ns = monotonic_ns();
	check_owner(c);
}

static void
start_connect(struct connection *c)
{
	const struct sockaddr *to = (const struct sockaddr *)&c->app->cfg.controller;

	c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (c->fd < 0) {
		failed(c, strerror(errno));
		return;
	}
	if (connect(c->fd, to, sizeof(c->app->cfg.controller)) == 0)
		start_check(c);
	else if (errno == EINPROGRESS || errno == EINTR)
		c->deadline_ns = monotonic_ns() + CONNECT_TIMEOUT_NS;
	else
		failed(c, strerror(errno));
}

void
connection_tick(struct connection *c)
{
	if (c->checking)
		check_owner(c);
	else if (c->connected || monotonic_ns() < c->deadline_ns)
		return;
	else if (c->fd < 0)
		start_connect(c);
	else
		failed(c, "no reply");
}

short
connection_events(const struct connection *c)
{
	if (c->checking)
		return POLLRDHUP; /* do not read commands before the check */
	return c->connected ? POLLIN : POLLOUT;
}

int
connection_wait_ms(const struct connection *c)
{
	return c->checking && monotonic_ns() - c->checking_ns < SECOND_NS ? WAIT_CHECK_MS : WAIT_MS;
}

static void
finish_connect(struct connection *c)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) < 0)
		error = errno;
	if (error != 0)
		failed(c, strerror(error));
	else
		start_check(c);
}

/* Wait until the controller accepts more data. Return -1 on a timeout, or when the process must
 * end.
 */
static int
wait_writable(const struct connection *c, uint64_t deadline_ns)
{
	struct pollfd fds[2] = {
		{ .fd = c->fd, .events = POLLOUT },
		{ .fd = c->stop_fd, .events = POLLIN },
	};
	uint64_t now = monotonic_ns();

	if (now >= deadline_ns)
		return -1;
	if (poll(fds, 2, (int)((deadline_ns - now) / 1000000) + 1) < 0)
		return errno == EINTR ? 0 : -1;
	return fds[1].revents != 0 ? -1 : 0;
}

static int
send_reply(struct connection *c)
{
	uint64_t deadline_ns = monotonic_ns() + WRITE_TIMEOUT_NS;
	size_t done = 0, size = command_reply_size(c->app, c->reply);
	ssize_t n;

	while (done < size) {
		n = send(c->fd, c->reply + done, size - done, MSG_NOSIGNAL);
		if (n > 0) {
			done += (size_t)n;
			continue;
		}
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN)
			return -1;
		if (wait_writable(c, deadline_ns) < 0)
			return -1;
	}
	return 0;
}

bool
connection_handle(struct connection *c, short revents)
{
	ssize_t n;
	bool end;

	if (revents == 0 || c->fd < 0)
		return false;
	if (c->checking) {
		failed(c, "it closed the connection");
		return false;
	}
	if (!c->connected) {
		finish_connect(c);
		return false;
	}
	n = recv(c->fd, c->buf, REPLY_SIZE, 0);
	if (n < 0 && (errno == EINTR || errno == EAGAIN))
		return false;
	if (n <= 0) {
		failed(c, n == 0 ? "it closed the connection" : strerror(errno));
		return false;
	}
	end = command_run(c->app, c->buf, (size_t)n, c->reply);
	if (send_reply(c) < 0)
		failed(c, "it does not read the reply");
	return end;
}
