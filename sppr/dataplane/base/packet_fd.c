/* SPDX-License-Identifier: BSD-3-Clause */
#include <dirent.h>
#include <linux/if_packet.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/packet_fd.h"

/* The socket of a driver has a ring of version 2 (TPACKET_V2). */
static bool
is_ring_of(int fd, unsigned int ifindex)
{
	struct sockaddr_ll address;
	socklen_t len = sizeof(address), size = sizeof(int);
	int version = -1;

	memset(&address, 0, sizeof(address));
	return getsockname(fd, (struct sockaddr *)&address, &len) == 0 &&
	       address.sll_family == AF_PACKET && (unsigned int)address.sll_ifindex == ifindex &&
	       getsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, &size) == 0 &&
	       version == TPACKET_V2;
}

int
packet_fd_find(const char *fd_dir, unsigned int ifindex)
{
	DIR *d = opendir(fd_dir);
	struct dirent *e;
	int fd, best = -1;

	if (d == NULL)
		return -1;
	while ((e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		fd = atoi(e->d_name);
		if ((best < 0 || fd < best) && is_ring_of(fd, ifindex))
			best = fd;
	}
	closedir(d);
	return best;
}
