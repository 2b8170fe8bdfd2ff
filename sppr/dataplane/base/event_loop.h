/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_EVENT_LOOP_H
#define BASE_EVENT_LOOP_H

/* An fd the control thread looks after beside the controller's. Embedded in what it belongs to. */
struct event_source {
	int fd;
	void (*ready)(struct event_source *source); /* may remove and free it */
};

/* 0, or -1 with errno. */
int event_loop_add(struct event_source *source);
void event_loop_remove(struct event_source *source);

/* Readable when event_loop_dispatch has something to do; -1 while nothing is watched. */
int event_loop_fd(void);
void event_loop_dispatch(void);

#endif
