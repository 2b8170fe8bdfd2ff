/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ETHDEV_ETHDEV_SELECT_H
#define ETHDEV_ETHDEV_SELECT_H

#include "shm/shared.h"

/* Report each port that EAL's options ask for (--vdev, -a, -w) and EAL did not create. -1 if any is
 * missing. EAL itself continues without them.
 */
int ethdev_check_requested(int argc, char **argv);

/* The primary's ports: those of the mask that exist, named and numbered as SPP does. Bits of the
 * mask without a port are stored in missing.
 */
uint16_t ethdev_select(const struct config *cfg, struct shared_port *ports, uint64_t *missing);

#endif
