/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ETHDEV_ETHDEV_SELECT_H
#define ETHDEV_ETHDEV_SELECT_H

#include "shm/shared.h"

/* Log each device of the EAL options (--vdev, -a, -w) that EAL did not create. Return -1 if any is
 * missing. EAL itself continues without them.
 */
int ethdev_check_requested(int argc, char **argv);

/* Select the ports of the primary: the ethdevs in the port mask, with the names and numbers that
 * SPP gives them. Store the bits without an ethdev in *missing. Return the number of ports.
 */
uint16_t ethdev_select(const struct config *cfg, struct shared_port *ports, uint64_t *missing);

/* Return -1 after logging it if --link names a NIC that the primary does not have. */
int ethdev_check_links(const struct config *cfg, const struct shared_port *ports, uint16_t n);

#endif
