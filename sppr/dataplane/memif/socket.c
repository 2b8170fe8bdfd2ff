/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "memif/socket.h"

/* CMSG_SPACE for one fd has room for two */
#define FDS_MAX 2

static void
take_fds(struct msghdr *header, int *fd)
{
	struct cmsghdr *c;
	int got[FDS_MAX];
	size_t i, n;

	for (c = CMSG_FIRSTHDR(header); c != NULL; c = CMSG_NXTHDR(header, c)) {
		if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS)
			continue;
		n = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
		memcpy(got, CMSG_DATA(c), n * sizeof(int));
		for (i = 0; i < n; i++) {
			if (*fd < 0)
				*fd = got[i];
			else
				close(got[i]);
		}
	}
}

enum memif_received
memif_receive(int sock, struct memif_message *message, int *fd)
{
	union {
		struct cmsghdr align;
		char space[CMSG_SPACE(FDS_MAX * sizeof(int))];
	} control;
	struct iovec iov = { message, sizeof(*message) };
	struct msghdr header = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	ssize_t n = recvmsg(sock, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	*fd = -1;
	if (n < 0)
		return errno == EAGAIN || errno == EINTR ? MEMIF_NOTHING : MEMIF_CLOSED;
	take_fds(&header, fd);
	if (n == (ssize_t)sizeof(*message) && (header.msg_flags & MSG_TRUNC) == 0)
		return MEMIF_MESSAGE;
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
	return n == 0 ? MEMIF_CLOSED : MEMIF_INVALID;
}

bool
memif_send(int sock, const struct memif_message *message)
{
	return send(sock, message, sizeof(*message), MSG_DONTWAIT | MSG_NOSIGNAL) ==
	       (ssize_t)sizeof(*message);
}

void
memif_text(char *to, unsigned int size, const char *from, unsigned int from_size)
{
	unsigned int i;

	for (i = 0; i + 1 < size && i < from_size && from[i] != '\0'; i++)
		to[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : '?';
	to[i] = '\0';
}
