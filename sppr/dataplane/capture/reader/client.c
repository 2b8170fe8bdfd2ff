/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "capture/reader/client.h"
#include "capture/request.h"

#define TIMEOUT_S 5

int
capture_client_connect(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct timeval timeout = { .tv_sec = TIMEOUT_S };
	int error, fd;

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	memcpy(address.sun_path, path, strlen(path));
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -1;
	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) == 0 &&
			setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) == 0 &&
			connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

/* Return the only fd of a message, or -1. */
static int
take_fd(struct msghdr *message)
{
	struct cmsghdr *c = CMSG_FIRSTHDR(message);
	int fd = -1;

	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
			c->cmsg_len == CMSG_LEN(sizeof(fd)))
		memcpy(&fd, CMSG_DATA(c), sizeof(fd));
	return fd;
}

/* Return the size of the reply, or -1 with errno. */
static ssize_t
receive(int sock, char text[CAPTURE_REPLY_MAX], int *fd)
{
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control;
	struct iovec iov = { text, CAPTURE_REPLY_MAX - 1 };
	struct msghdr message = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = CMSG_LEN(sizeof(int)),
	};
	ssize_t n = recvmsg(sock, &message, MSG_CMSG_CLOEXEC);

	/* a service that refuses the connection does not read our request; its reply follows */
	if (n < 0 && errno == ECONNRESET)
		n = recvmsg(sock, &message, MSG_CMSG_CLOEXEC);
	*fd = n >= 0 ? take_fd(&message) : -1;
	if (n >= 0)
		text[n] = '\0';
	return n;
}

/* The reply comes from another process: print no control characters. */
static void
copy_reason(char *why, unsigned int size, const char *text)
{
	unsigned int i;

	if (strncmp(text, "error: ", 7) == 0)
		text += 7;
	for (i = 0; i + 1 < size && text[i] != '\0'; i++)
		why[i] = text[i] >= ' ' && text[i] <= '~' ? text[i] : '?';
	why[i] = '\0';
}

int
capture_client_request(int sock, const char *port, bool tx, uint32_t snaplen, uint32_t ring_size,
		char *why, unsigned int size)
{
	char text[CAPTURE_REPLY_MAX];
	int fd, len = snprintf(text, sizeof(text), "capture %s %s %u %u", port, tx ? "tx" : "rx",
				snaplen, ring_size);
	ssize_t n;

	/* After EPIPE, the reply has the reason. */
	if (send(sock, text, (size_t)len, MSG_NOSIGNAL) < 0 && errno != EPIPE) {
		snprintf(why, size, "%s", strerror(errno));
		return -1;
	}
	n = receive(sock, text, &fd);
	if (n > 0 && strcmp(text, "ok") == 0 && fd >= 0)
		return fd;
	if (fd >= 0)
		close(fd);
	if (n < 0)
		snprintf(why, size, "%s", errno == EAGAIN ? "no reply in 5 s" : strerror(errno));
	else if (n == 0)
		snprintf(why, size, "the process closed the connection");
	else
		copy_reason(why, size, text);
	return -1;
}

bool
capture_client_is_closed(int sock)
{
	char byte;
	ssize_t n = recv(sock, &byte, sizeof(byte), MSG_DONTWAIT);

	return n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR);
}
