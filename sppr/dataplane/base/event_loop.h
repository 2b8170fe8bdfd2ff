/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef BASE_EVENT_LOOP_H
#define BASE_EVENT_LOOP_H

/* An fd that the control thread polls in addition to the controller's. Embed it in the object that
 * owns the fd.
 */
struct event_source {
	int fd;
	void (*ready)(struct event_source *source); /* may remove and free the source */
};

/* Return 0, or -1 with errno. */
int event_loop_add(struct event_source *source);
void event_loop_remove(struct event_source *source);

/* The epoll fd: readable when event_loop_dispatch() has work. -1 while there is no source. */
int event_loop_fd(void);
void event_loop_dispatch(void);

#endif
