/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/signals.h"

static int stop_fd = -1;

static void
on_signal(int signo)
{
	uint64_t one = 1;
	int saved = errno;

	(void)signo;
	if (write(stop_fd, &one, sizeof(one)) < 0)
		_exit(1);
	errno = saved;
}

int
signals_open(void)
{
	static const int signals[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = on_signal, .sa_flags = SA_RESTART };
	size_t i;

	stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (stop_fd < 0)
		return -1;
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (sigaction(signals[i], &action, NULL) < 0)
			return -1;
	return stop_fd;
}
