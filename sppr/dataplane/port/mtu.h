/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PORT_MTU_H
#define PORT_MTU_H

#include <stdint.h>

/* The MTU of an ethdev: that of its interface, ifindex, if it has one; else what the driver says.
 * net_af_packet says 1500, whatever its interface has (22.11).
 */
unsigned int mtu_of_ethdev(uint16_t ethdev, unsigned int ifindex);

#endif
