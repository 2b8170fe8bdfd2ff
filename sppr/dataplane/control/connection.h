/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_CONNECTION_H
#define CONTROL_CONNECTION_H

#include <stdbool.h>
#include <stdint.h>

#include "app.h"
#include "control/command.h"

/* The TCP connection to the controller. This process connects, the controller sends commands, and
 * each command gets one reply.
 */
struct connection {
	struct app *app;
	int fd;	     /* -1: not connected, and no attempt in progress */
	int stop_fd; /* readable when the process must end; cancels a blocked write */
	bool connected;
	bool checking;	      /* TCP is connected, the owner of the other end is not known yet */
	bool refused;	      /* the owner of the last controller was refused; logged once */
	bool logged_failure;  /* log only the first of consecutive failures */
	uint64_t deadline_ns; /* time of the next attempt, or timeout of this one */
	uint64_t checking_ns; /* start of the check */
	char buf[REPLY_SIZE + 1];
	char reply[REPLY_SIZE];
};

void connection_init(struct connection *c, struct app *app, int stop_fd);
void connection_close(struct connection *c);

/* The events to poll for on c->fd. */
short connection_events(const struct connection *c);

/* Handle the events of c->fd. Return true if a command asked the process to end. */
bool connection_handle(struct connection *c, short revents);

/* Connect if it is time to, and check the owner of a new connection. */
void connection_tick(struct connection *c);

/* The poll timeout until the next connection_tick(), in milliseconds. */
int connection_wait_ms(const struct connection *c);

#endif
