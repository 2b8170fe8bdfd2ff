/* SPDX-License-Identifier: BSD-3-Clause */
#include <stddef.h>
#include <sys/epoll.h>

#include "base/event_loop.h"

#define EVENTS_AT_ONCE 64 /* then the controller has its turn */

static int set = -1;

int
watch_add(struct watch *watch)
{
	struct epoll_event event = { .events = EPOLLIN, .data.ptr = watch };

	if (set < 0)
		set = epoll_create1(EPOLL_CLOEXEC);
	return set < 0 ? -1 : epoll_ctl(set, EPOLL_CTL_ADD, watch->fd, &event);
}

void
watch_remove(struct watch *watch)
{
	epoll_ctl(set, EPOLL_CTL_DEL, watch->fd, NULL);
}

int
watch_fd(void)
{
	return set;
}

void
watch_handle(void)
{
	struct epoll_event event;
	struct watch *watch;
	int i;

	/* one by one: what one event frees, the next may be of */
	for (i = 0; i < EVENTS_AT_ONCE && epoll_wait(set, &event, 1, 0) == 1; i++) {
		watch = event.data.ptr;
		watch->ready(watch);
	}
}
