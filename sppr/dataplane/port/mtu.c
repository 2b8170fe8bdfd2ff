/* SPDX-License-Identifier: BSD-3-Clause */
#include <net/if.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <rte_ethdev.h>
#include <rte_ether.h>

#include "port/mtu.h"

unsigned int
mtu_of_ethdev(uint16_t ethdev, unsigned int ifindex)
{
	int s = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	uint16_t mtu = RTE_ETHER_MTU;
	struct ifreq req;

	rte_eth_dev_get_mtu(ethdev, &mtu);
	memset(&req, 0, sizeof(req));
	if (s >= 0 && if_indextoname(ifindex, req.ifr_name) != NULL &&
			ioctl(s, SIOCGIFMTU, &req) == 0)
		mtu = (uint16_t)req.ifr_mtu;
	if (s >= 0)
		close(s);
	return mtu;
}
