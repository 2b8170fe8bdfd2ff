/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ETHDEV_ETHDEV_START_H
#define ETHDEV_ETHDEV_START_H

#include "shm/shared.h"

/* Report each port that EAL's options ask for (--vdev, -a, -w) and EAL did not create. -1 if any is
 * missing. EAL itself continues without them.
 */
int ethdev_check_requested(int argc, char **argv);
/* The primary's ports: those of the mask that exist, named and numbered as SPP does. Bits of the
 * mask without a port are stored in missing.
 */
uint16_t ethdev_select(const struct config *cfg, struct shared_port *ports, uint64_t *missing);
int ethdev_start(const struct shared_port *port, struct rte_mempool *pool);
/* Closing takes the port's queues out of the memory that secondaries may be polling. */
void ethdev_stop(const struct shared_port *port, bool close);

#endif
