/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>

#include "base/log.h"
#include "base/signals.h"
#include "control/connection.h"
#include "forward/patch.h"
#include "guest/devices.h"
#include "guest/guest.h"
#include "guest/options.h"

#define TICK_NS 250000000L
#define SLEEP_MIN_NS 20000L
#define SLEEP_MAX_NS 1000000L
#define START_PRIORITY (-10)

static void
add_ports(struct app *app, const struct options *options)
{
	char names[DEVICES_MAX][DEVICE_NAME_SIZE];
	unsigned int i, n = devices_nics("", options->mgmt_mac, names, DEVICES_MAX);
	struct port *port;
	uint16_t number = 0;

	for (i = 0; i < n; i++) {
		if ((options->port_mask >> i & 1) == 0)
			continue;
		port = vport_phy_open(number, names[i]);
		if (port != NULL && port_table_insert(&app->ports, port) == 0)
			number++;
	}
	n = devices_ivshmem("", names, DEVICES_MAX);
	for (i = 0; i < n; i++)
		patch_add_port(app, (struct port_id){ .type = PORT_RING, .number = (uint16_t)i });
}

/* The time until the next round: 0 after packets, short if a ring must be polled, else until an
 * event.
 */
static long
poll_timeout_ns(const struct app *app, unsigned int moved, long *sleep_ns)
{
	long ns = *sleep_ns;

	if (moved > 0) {
		*sleep_ns = SLEEP_MIN_NS;
		return 0;
	}
	if (!guest_polls(app))
		return TICK_NS;
	*sleep_ns = ns * 2 < SLEEP_MAX_NS ? ns * 2 : SLEEP_MAX_NS;
	return ns;
}

static unsigned int
fill(const struct app *app, struct connection *connection, int stop_fd, struct pollfd *fds,
		struct port **ports)
{
	unsigned int i, n = 2;

	fds[0] = (struct pollfd){ .fd = stop_fd, .events = POLLIN };
	fds[1] = (struct pollfd){ .fd = connection->fd, .events = connection_events(connection) };
	for (i = 0; i < app->ports.n; i++) {
		struct port *p = app->ports.port[i];

		if (!p->listening || p->wait_fd < 0)
			continue;
		ports[n] = p;
		fds[n++] = (struct pollfd){ .fd = p->wait_fd, .events = POLLIN };
	}
	return n;
}

static int
loop(struct app *app, int stop_fd)
{
	static struct connection connection;
	struct pollfd fds[MAX_PORTS + 2];
	struct port *ports[MAX_PORTS + 2];
	long sleep_ns = SLEEP_MIN_NS;
	struct timespec timeout;
	unsigned int i, n;
	int status = 0;
	bool starting = true;

	/* before the shell and sshd, which start at the same time */
	setpriority(PRIO_PROCESS, 0, START_PRIORITY);
	connection_init(&connection, app, stop_fd);
	for (;;) {
		connection_tick(&connection);
		if (starting && connection.connected) {
			starting = false;
			setpriority(PRIO_PROCESS, 0, 0);
		}
		timeout = (struct timespec){ 0,
			poll_timeout_ns(app, guest_forward(app), &sleep_ns) };
		n = fill(app, &connection, stop_fd, fds, ports);
		if (ppoll(fds, n, &timeout, NULL) < 0) {
			if (errno == EINTR)
				continue;
			log_line("poll: %s", strerror(errno));
			status = 1;
			break;
		}
		for (i = 2; i < n; i++)
			ports[i]->ready = ports[i]->ready || fds[i].revents != 0;
		/* commands come last, because they may close ports */
		if (fds[0].revents != 0 || connection_handle(&connection, fds[1].revents))
			break;
	}
	connection_close(&connection);
	return status;
}

int
main(int argc, char **argv)
{
	static struct app app;
	struct options options;
	char error[256];
	int status = 1, stop_fd;

	log_set_program("spp_vm");
	switch (options_parse(&options, &app.cfg, argc, argv, error, sizeof(error))) {
	case CONFIG_HELP:
		printf("usage: %s\n", OPTIONS_USAGE);
		return 0;
	case CONFIG_BAD:
		log_line("%s\nusage: %s", error, OPTIONS_USAGE);
		return 1;
	case CONFIG_OK:
		break;
	}
	prctl(PR_SET_TIMERSLACK, 1000UL, 0, 0, 0);
	log_line("config: id %u, controller %s", app.cfg.client_id, app.cfg.controller_text);
	app.has_forwarder = true;
	stop_fd = signals_open();
	if (stop_fd >= 0) {
		add_ports(&app, &options);
		status = loop(&app, stop_fd);
	}
	patch_close_all(&app);
	return status;
}
