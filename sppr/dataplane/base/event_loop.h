/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef WATCH_H
#define WATCH_H

/* An fd the control thread looks after beside the controller's. Embedded in what it belongs to. */
struct watch {
	int fd;
	void (*ready)(struct watch *watch); /* may remove and free it */
};

/* 0, or -1 with errno. */
int watch_add(struct watch *watch);
void watch_remove(struct watch *watch);

/* Readable when watch_handle has something to do; -1 while nothing is watched. */
int watch_fd(void);
void watch_handle(void);

#endif
