/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_log.h>

#include "base/clock.h"
#include "base/event_loop.h"
#include "base/log.h"
#include "base/signals.h"
#include "capture/server.h"
#include "control/connection.h"
#include "control/process.h"
#include "control/status.h"

#define TICK_MS 1000

static int stop_fd = -1;

int
process_arguments(struct config *cfg, enum process_kind kind, int argc, char **argv)
{
	char error[256] = "-- is missing: EAL options, then --, then ours";
	enum config_result result = CONFIG_BAD;
	int i;

	for (i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
		if (strcmp(argv[i], "-h") == 0 || strcmp(argv[i], "--help") == 0)
			result = CONFIG_HELP;
	if (i < argc && result != CONFIG_HELP)
		result = config_parse(cfg, kind, argc - i, argv + i, error, sizeof(error));
	if (result == CONFIG_HELP) {
		printf("usage: %s\n", config_usage(kind));
		exit(0);
	}
	if (result == CONFIG_BAD) {
		log_line("%s\nusage: %s", error, config_usage(kind));
		exit(1);
	}
	return i;
}

/* The config file in the runtime directory that EAL will use. */
static void
config_path(int argc, char **argv, char *path, size_t size)
{
	const char *prefix = "rte", *dir = "/var/run", *xdg = getenv("XDG_RUNTIME_DIR");
	int i;

	for (i = 1; i < argc; i++) {
		if (strncmp(argv[i], "--file-prefix=", 14) == 0)
			prefix = argv[i] + 14;
		else if (strcmp(argv[i], "--file-prefix") == 0 && i + 1 < argc)
			prefix = argv[i + 1];
	}
	if (getuid() != 0)
		dir = xdg != NULL ? xdg : "/tmp";
	snprintf(path, size, "%s/dpdk/%s/config", dir, prefix);
}

int
process_check_primary(int argc, char **argv)
{
	char path[256];

	config_path(argc, argv, path, sizeof(path));
	if (access(path, F_OK) < 0) {
		log_line("no primary: %s does not exist; start spp_primary first; not starting",
				path);
		return -1;
	}
	if (!rte_eal_primary_proc_alive(path)) {
		log_line("the primary of %s is dead; start spp_primary first; not starting", path);
		return -1;
	}
	return 0;
}

void
process_quiet_libraries(void)
{
	/* the vhost library logs some 60 lines a connection, and a pane that is not read blocks the
	 * writer
	 */
	rte_log_set_level_pattern("lib.vhost.*", RTE_LOG_WARNING);
}

int
process_catch_signals(void)
{
	stop_fd = signals_open();
	return stop_fd < 0 ? -1 : 0;
}

/* Run once a second. Return false if the process must end with status 1. */
static bool
each_second(struct app *app)
{
	if (!app->cfg.primary && !rte_eal_primary_proc_alive(NULL)) {
		log_line("the primary died, and this process's memory with it; ending");
		return false;
	}
	capture_server_update();
	if (app->cfg.disp_stats)
		status_print(app);
	return true;
}

int
process_loop(struct app *app)
{
	static struct connection connection; /* has 64 KiB of buffers */
	uint64_t next_tick_ns = 0;
	struct pollfd fds[3];
	int status = 0, ready;

	connection_init(&connection, app, stop_fd);
	capture_server_start(app);
	for (;;) {
		connection_tick(&connection);
		if (monotonic_ns() >= next_tick_ns) {
			next_tick_ns = monotonic_ns() + TICK_MS * 1000000ULL;
			if (!each_second(app)) {
				status = 1;
				break;
			}
		}
		fds[0] = (struct pollfd){ .fd = stop_fd, .events = POLLIN };
		fds[1] = (struct pollfd){ .fd = connection.fd,
			.events = connection_events(&connection) };
		fds[2] = (struct pollfd){ .fd = event_loop_fd(), .events = POLLIN };
		ready = poll(fds, 3, connection_wait_ms(&connection));
		if (ready < 0 && errno != EINTR) {
			log_line("poll: %s", strerror(errno));
			status = 1;
			break;
		}
		if (ready > 0 && fds[0].revents != 0)
			break;
		if (ready > 0 && fds[2].revents != 0)
			event_loop_dispatch();
		if (ready > 0 && connection_handle(&connection, fds[1].revents))
			break;
	}
	capture_server_close();
	connection_close(&connection);
	return status;
}
