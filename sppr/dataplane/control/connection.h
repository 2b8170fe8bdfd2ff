/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_H
#define CONTROL_H

#include <stdbool.h>
#include <stdint.h>

#include "app.h"
#include "control/command.h"

/* The TCP connection to the controller: we connect, it commands, one answer to one command. */
struct control {
	struct app *app;
	int fd;	     /* -1: no attempt under way */
	int stop_fd; /* readable when the process is to end: gives up a stuck write */
	bool connected;
	bool checking;	      /* TCP is connected, its other end is not known yet */
	bool refused;	      /* the last other end was a stranger: logged once */
	bool complained;      /* the first failure in a row is told, the rest are not */
	uint64_t deadline_ns; /* when to try again, or give an attempt up */
	uint64_t checking_ns; /* since when */
	char buf[REPLY_SIZE + 1];
	char reply[REPLY_SIZE];
};

void control_init(struct control *c, struct app *app, int stop_fd);
void control_close(struct control *c);

/* What to poll for on c->fd. */
short control_events(const struct control *c);

/* After a poll: revents for c->fd. True when a command asked the process to end. */
bool control_handle(struct control *c, short revents);

/* Try to connect when it is time to. */
void control_tick(struct control *c);

/* How long a poll may wait for the next control_tick(), in milliseconds. */
int control_wait_ms(const struct control *c);

#endif
