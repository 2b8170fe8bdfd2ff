/* SPDX-License-Identifier: BSD-3-Clause */
#include <stddef.h>
#include <sys/epoll.h>

#include "base/event_loop.h"

#define EVENTS_AT_ONCE 64 /* then the controller gets its turn */

static int set = -1;

int
event_loop_add(struct event_source *source)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = source };

	if (set < 0)
		set = epoll_create1(EPOLL_CLOEXEC);
	return set < 0 ? -1 : epoll_ctl(set, EPOLL_CTL_ADD, source->fd, &event);
}

void
event_loop_remove(struct event_source *source)
{
	epoll_ctl(set, EPOLL_CTL_DEL, source->fd, NULL);
}

int
event_loop_fd(void)
{
	return set;
}

void
event_loop_dispatch(void)
{
	struct epoll_event event;
	struct event_source *source;
	int i;

	/* fetch one event at a time: a handler may free the source of the next one */
	for (i = 0; i < EVENTS_AT_ONCE && epoll_wait(set, &event, 1, 0) == 1; i++) {
		source = event.data.ptr;
		source->ready(source);
	}
}
