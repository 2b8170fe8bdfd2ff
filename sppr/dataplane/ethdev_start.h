/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ETHDEV_START_H
#define ETHDEV_START_H

#include "shared.h"

/* The primary's ports: those of the mask that exist, named and numbered as SPP does. */
uint16_t ethdev_pick(const struct config *cfg, struct shared_port *ports);
int ethdev_start(const struct shared_port *port, struct rte_mempool *pool);
/* Closing takes the port's queues out of the memory that secondaries may be polling. */
void ethdev_stop(const struct shared_port *port, bool close);

#endif
