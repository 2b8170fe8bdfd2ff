/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ETHDEV_ETHDEV_START_H
#define ETHDEV_ETHDEV_START_H

#include "shm/shared.h"

/* Configure the queues of an ethdev and start it. */
int ethdev_start(const struct shared_port *port, struct rte_mempool *pool);
/* Stop an ethdev. Closing it also removes its queues from memory that secondaries may be polling.
 */
void ethdev_stop(const struct shared_port *port, bool close);

#endif
