/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <poll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "forward/idle.h"

#define SLEEP_MIN_NS 10000
#define SLEEP_MAX_NS 500000
/* The longest wait for an event. A process killed between taking the token and sending loses one
 * wake-up; this bounds the delay.
 */
#define EVENT_MAX_NS 100000000

enum {
	FD_CONTROL,
	FD_RING,
	FD_PORTS
};

int
idle_open(struct idle *s)
{
	s->sleep_ns = SLEEP_MIN_NS;
	s->control_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (s->control_fd < 0 || ring_notify_open(&s->notify) < 0) {
		log_line("cannot create an eventfd or a socket for a worker");
		return -1;
	}
	s->fds[FD_CONTROL] = (struct pollfd){ .fd = s->control_fd, .events = POLLIN };
	s->fds[FD_RING] = (struct pollfd){ .fd = s->notify.fd, .events = POLLIN };
	return 0;
}

void
idle_close(struct idle *s)
{
	close(s->control_fd);
	ring_notify_close(&s->notify);
}

void
idle_wake(const struct idle *s)
{
	uint64_t one = 1;

	if (write(s->control_fd, &one, sizeof(one)) < 0)
		return; /* the counter is full, so the worker is awake */
}

void
idle_reset(struct idle *s)
{
	s->sleep_ns = SLEEP_MIN_NS;
}

static int
arm_port(struct port *port, uint64_t token)
{
	return port->ops->arm != NULL ? port->ops->arm(port, token) : port->wait_fd;
}

void
idle_arm(struct idle *s, const struct patch_table *table)
{
	unsigned int i;
	int fd;

	s->n = FD_PORTS;
	for (i = 0; i < table->n; i++) {
		if (i > 0 && table->entry[i].src == table->entry[i - 1].src) {
			s->fd_of[i] = s->fd_of[i - 1];
			continue;
		}
		fd = arm_port(table->entry[i].src, s->notify.token);
		s->fd_of[i] = fd;
		if (fd < 0)
			continue;
		s->fd_of[i] = (int)s->n;
		s->fds[s->n++] = (struct pollfd){ .fd = fd, .events = POLLIN };
	}
	if (table->n > 0)
		ring_notify_barrier();
}

/* Sleep longer each time while a source has no event. */
static struct timespec
sleep_time(struct idle *s, const struct patch_table *table)
{
	bool events = true;
	unsigned int i, sleep_ns = s->sleep_ns;

	for (i = 0; i < table->n; i++)
		events &= s->fd_of[i] != WAIT_POLL;
	if (events)
		return (struct timespec){ 0, EVENT_MAX_NS };
	s->sleep_ns = RTE_MIN(sleep_ns * 2, (unsigned int)SLEEP_MAX_NS);
	return (struct timespec){ 0, (long)sleep_ns };
}

/* Detect fds that are in error and will never be readable, as after the removal of an interface. */
static bool
broken(const struct idle *s)
{
	unsigned int i;
	bool any = false;

	for (i = 0; i < s->n; i++) {
		if ((s->fds[i].revents & POLLIN) != 0)
			return false;
		any |= s->fds[i].revents != 0;
	}
	return any;
}

void
idle_wait(struct idle *s, const struct patch_table *table)
{
	struct timespec t = sleep_time(s, table), pause = { 0, SLEEP_MAX_NS };
	unsigned int i;
	uint64_t count;

	for (i = 0; i < s->n; i++)
		s->fds[i].revents = 0;
	if (ppoll(s->fds, s->n, table->n > 0 ? &t : NULL, NULL) <= 0)
		return;
	if (s->fds[FD_RING].revents != 0)
		ring_notify_drain(&s->notify);
	if (s->fds[FD_CONTROL].revents != 0 && read(s->control_fd, &count, sizeof(count)) < 0)
		return;
	if (broken(s))
		clock_nanosleep(CLOCK_MONOTONIC, 0, &pause, NULL);
}

void
idle_disarm(struct idle *s, const struct patch_table *table)
{
	struct port *port;
	unsigned int i;
	int at;

	for (i = 0; i < table->n; i++) {
		port = table->entry[i].src;
		at = s->fd_of[i];
		if (port->ops->disarm != NULL)
			port->ops->disarm(port, at >= 0 && (s->fds[at].revents & POLLIN) != 0);
	}
}
