/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/check.h"
#include "security/peer_owner.h"

#define NOBODY 65534
#define ROUNDS 1000

static int
listen_on(int family, struct sockaddr_in *address)
{
	struct sockaddr_in6 any = { .sin6_family = AF_INET6 };
	struct sockaddr_in lo = { .sin_family = AF_INET,
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	int fd = socket(family, SOCK_STREAM, 0);
	socklen_t len = sizeof(any);

	CHECK(fd >= 0);
	if (family == AF_INET)
		CHECK(bind(fd, (struct sockaddr *)&lo, sizeof(lo)) == 0);
	else
		CHECK(bind(fd, (struct sockaddr *)&any, sizeof(any)) == 0);
	CHECK(listen(fd, 4) == 0 && getsockname(fd, (struct sockaddr *)&any, &len) == 0);
	*address = lo;
	address->sin_port = any.sin6_port; /* at the same offset in both structs */
	return fd;
}

static int
connect_to(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM, 0);

	CHECK(connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0);
	return fd;
}

static void
test_accepted_only(int family)
{
	struct sockaddr_in address, own;
	int listener = listen_on(family, &address), fd = connect_to(&address), accepted;
	socklen_t len = sizeof(own);
	uid_t by_netlink = 1, by_table = 1, uid = 1;
	const char *table = family == AF_INET ? "/proc/net/tcp" : "/proc/net/tcp6";

	CHECK(getsockname(fd, (struct sockaddr *)&own, &len) == 0);
	CHECK(peer_owner_find(fd, &uid) == PEER_PENDING);
	CHECK(peer_owner_by_netlink(&address, &own, &uid) != PEER_FOUND);
	CHECK(!peer_owner_by_table(table, &address, &own, &uid));
	accepted = accept(listener, NULL, NULL);
	CHECK(peer_owner_find(fd, &uid) == PEER_FOUND && uid == geteuid());
	CHECK(peer_owner_by_table(table, &address, &own, &by_table) && by_table == geteuid());
	if (peer_owner_by_netlink(&address, &own, &by_netlink) == PEER_FOUND) /* kernel module */
		CHECK(by_netlink == geteuid());
	close(accepted);
	CHECK(peer_owner_find(fd, &uid) == PEER_PENDING);
	close(fd);
	close(listener);
}

/* The child accepts as another user on a socket that root bound. */
static void
test_other_user(void)
{
	struct sockaddr_in address;
	int listener = listen_on(AF_INET, &address), fd = connect_to(&address), status;
	uid_t uid = 0;
	pid_t child = fork();

	if (child == 0) {
		if (setresuid(NOBODY, NOBODY, NOBODY) == 0 && accept(listener, NULL, NULL) >= 0)
			pause();
		_exit(1);
	}
	while (peer_owner_find(fd, &uid) == PEER_PENDING)
		usleep(1000);
	CHECK(uid == NOBODY);
	kill(child, SIGKILL);
	CHECK(waitpid(child, &status, 0) == child);
	close(fd);
	close(listener);
}

static double
microseconds(const struct timespec *from, const struct timespec *to)
{
	return (double)(to->tv_sec - from->tv_sec) * 1e6 +
	       (double)(to->tv_nsec - from->tv_nsec) / 1e3;
}

/* Print the cost of both methods, for docs/security.md. */
static void
measure(void)
{
	struct sockaddr_in address, own;
	int listener = listen_on(AF_INET, &address), fd = connect_to(&address), i;
	int accepted = accept(listener, NULL, NULL);
	struct timespec t[3];
	socklen_t len = sizeof(own);
	uid_t uid;

	CHECK(getsockname(fd, (struct sockaddr *)&own, &len) == 0);
	clock_gettime(CLOCK_MONOTONIC, &t[0]);
	for (i = 0; i < ROUNDS; i++)
		peer_owner_by_netlink(&address, &own, &uid);
	clock_gettime(CLOCK_MONOTONIC, &t[1]);
	for (i = 0; i < ROUNDS; i++)
		peer_owner_by_table("/proc/net/tcp", &address, &own, &uid);
	clock_gettime(CLOCK_MONOTONIC, &t[2]);
	printf("netlink %.1f us, /proc/net/tcp %.1f us\n", microseconds(&t[0], &t[1]) / ROUNDS,
			microseconds(&t[1], &t[2]) / ROUNDS);
	close(accepted);
	close(fd);
	close(listener);
}

int
main(int argc, char **argv)
{
	(void)argv;
	test_accepted_only(AF_INET);
	test_accepted_only(AF_INET6);
	if (geteuid() == 0)
		test_other_user();
	if (argc > 1)
		measure();
	return 0;
}
