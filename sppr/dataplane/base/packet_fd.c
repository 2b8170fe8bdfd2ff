/* SPDX-License-Identifier: BSD-3-Clause */
#include <linux/if_packet.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>

#include "base/fd_dir.h"
#include "base/packet_fd.h"

/* The socket of a driver has a ring of version 2 (TPACKET_V2). */
static bool
is_ring_of(int dir, const char *entry, int fd, const void *wanted)
{
	unsigned int ifindex = *(const unsigned int *)wanted;
	struct sockaddr_ll address;
	socklen_t len = sizeof(address), size = sizeof(int);
	int version = -1;

	(void)dir;
	(void)entry;
	memset(&address, 0, sizeof(address));
	return getsockname(fd, (struct sockaddr *)&address, &len) == 0 &&
	       address.sll_family == AF_PACKET && (unsigned int)address.sll_ifindex == ifindex &&
	       getsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, &size) == 0 &&
	       version == TPACKET_V2;
}

int
packet_fd_find(const char *fd_dir, unsigned int ifindex)
{
	return fd_dir_lowest(fd_dir, is_ring_of, &ifindex);
}
