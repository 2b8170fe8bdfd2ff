/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <inttypes.h>
#include <linux/membarrier.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/log.h"
#include "forward/ring_notify.h"

bool ring_notify_needs_fence = true;

static int send_fd = -1;

static socklen_t
address_of(uint64_t token, struct sockaddr_un *address)
{
	int len;

	memset(address, 0, sizeof(*address));
	address->sun_family = AF_UNIX;
	/* a leading NUL selects the abstract namespace */
	len = snprintf(address->sun_path + 1, sizeof(address->sun_path) - 1, "sppr-%016" PRIx64,
			token);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len);
}

void
ring_notify_init(void)
{
	if (send_fd < 0)
		send_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ring_notify_needs_fence = syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED,
						  0, 0) != 0;
}

void
ring_notify_barrier(void)
{
	if (!ring_notify_needs_fence)
		syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0);
	rte_smp_mb();
}

int
ring_notify_open(struct ring_notify *notify)
{
	struct sockaddr_un address;
	socklen_t len;

	notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	do {
		if (getrandom(&notify->token, sizeof(notify->token), 0) !=
				(ssize_t)sizeof(notify->token))
			notify->token = 0;
	} while (notify->token == 0);
	len = address_of(notify->token, &address);
	if (notify->fd < 0 || bind(notify->fd, (struct sockaddr *)&address, len) < 0) {
		log_line("cannot create a socket for wake-ups: %s", strerror(errno));
		ring_notify_close(notify);
		return -1;
	}
	return 0;
}

void
ring_notify_close(struct ring_notify *notify)
{
	if (notify->fd >= 0)
		close(notify->fd);
	notify->fd = -1;
}

void
ring_notify_drain(const struct ring_notify *notify)
{
	char byte;

	while (recv(notify->fd, &byte, sizeof(byte), 0) >= 0)
		;
}

void
ring_notify_send(uint64_t *sleeper)
{
	uint64_t token = __atomic_exchange_n(sleeper, 0, __ATOMIC_ACQ_REL);
	struct sockaddr_un address;
	socklen_t len;

	if (token == 0)
		return; /* the worker is awake already */
	len = address_of(token, &address);
	/* an error is harmless: the worker was killed, or its queue is full and it wakes anyway */
	(void)!sendto(send_fd, "", 1, 0, (struct sockaddr *)&address, len);
}
