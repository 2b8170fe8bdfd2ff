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
	uint16_t of_driver = RTE_ETHER_MTU;
	unsigned int mtu;
	struct ifreq req;

	rte_eth_dev_get_mtu(ethdev, &of_driver);
	mtu = of_driver;
	memset(&req, 0, sizeof(req));
	if (s >= 0 && if_indextoname(ifindex, req.ifr_name) != NULL &&
			ioctl(s, SIOCGIFMTU, &req) == 0)
		mtu = (unsigned int)req.ifr_mtu; /* that of lo is 65536 */
	if (s >= 0)
		close(s);
	return mtu;
}
