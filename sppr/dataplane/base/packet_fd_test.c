/* SPDX-License-Identifier: BSD-3-Clause */
#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/check.h"
#include "base/packet_fd.h"

/* Open a packet socket, which receives nothing (no protocol), of this interface and version. */
static int
open_socket(unsigned int ifindex, int version)
{
	struct sockaddr_ll address = { .sll_family = AF_PACKET, .sll_ifindex = (int)ifindex };
	int fd = socket(AF_PACKET, SOCK_RAW, 0);

	if (fd < 0)
		return -1;
	CHECK(setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof(version)) == 0);
	CHECK(bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0);
	return fd;
}

int
main(void)
{
	unsigned int lo = if_nametoindex("lo");
	int other, first, second;

	CHECK(packet_fd_find("/nowhere", lo) == -1);
	other = open_socket(lo, TPACKET_V1);
	if (other < 0)
		return 0; /* without CAP_NET_RAW */
	CHECK(packet_fd_find("/proc/self/fd", lo) == -1);
	first = open_socket(lo, TPACKET_V2);
	second = open_socket(lo, TPACKET_V2);
	CHECK(first > other && second > first);
	CHECK(packet_fd_find("/proc/self/fd", lo) == first);
	CHECK(packet_fd_find("/proc/self/fd", lo + 1) == -1);
	close(first);
	CHECK(packet_fd_find("/proc/self/fd", lo) == second);
	close(second);
	close(other);
	return 0;
}
