/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ETHDEV_PIPE_ETHDEV_H
#define ETHDEV_PIPE_ETHDEV_H

#include "shm/shared.h"

/* The ethdev of pipe:N, made of two rings of the primary, for a DPDK secondary that is not ours and
 * is started later. The secondary finds it by the name net_ring_spp_pipeN.
 */

/* Create and start it; rx is the ring that its user reads, tx the ring that its user fills. Returns
 * the ethdev's id, or -1 after logging the reason.
 */
int pipe_ethdev_create(const struct shared_view *view, uint16_t number, uint16_t rx, uint16_t tx);
void pipe_ethdev_remove(uint16_t number, uint16_t ethdev);

#endif
