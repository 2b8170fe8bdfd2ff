/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_CONNECTION_H
#define CONTROL_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "app.h"
#include "control/command.h"

/* The TCP connection to the controller: we connect, it commands, one answer to one command. */
struct connection {
	struct app *app;
	int fd;	     /* -1: no attempt under way */
	int stop_fd; /* readable when the process is to end: gives up a stuck write */
	bool connected;
	bool checking;	      /* TCP is connected, its other end is not known yet */
	bool refused;	      /* the last other end was a stranger: logged once */
	bool logged_failure;  /* the first failure in a row is told, the rest are not */
	uint64_t deadline_ns; /* when to try again, or give an attempt up */
	uint64_t checking_ns; /* since when */
	char buf[REPLY_SIZE + 1];
	char reply[REPLY_SIZE];
};

void connection_init(struct connection *c, struct app *app, int stop_fd);
void connection_close(struct connection *c);

/* What to poll for on c->fd. */
short connection_events(const struct connection *c);

/* After a poll: revents for c->fd. True when a command asked the process to end. */
bool connection_handle(struct connection *c, short revents);

/* Try to connect when it is time to. */
void connection_tick(struct connection *c);

/* How long a poll may wait for the next connection_tick(), in milliseconds. */
int connection_wait_ms(const struct connection *c);

#endif
