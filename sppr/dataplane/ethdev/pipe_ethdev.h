/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ETHDEV_PIPE_ETHDEV_H
#define ETHDEV_PIPE_ETHDEV_H

#include "shm/shared.h"

/* The ethdev of pipe:N. It consists of two rings of the primary, and serves a DPDK secondary that
 * is not ours and starts later. That process finds the ethdev by its name, net_ring_spp_pipeN.
 */

/* Create and start the ethdev. Its user reads ring rx and fills ring tx. Return the id of the
 * ethdev, or -1 after logging the reason.
 */
int pipe_ethdev_create(const struct shared_view *view, uint16_t number, uint16_t rx, uint16_t tx);
void pipe_ethdev_remove(uint16_t number, uint16_t ethdev);

#endif
