/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SHM_DEPOT_OPS_H
#define SHM_DEPOT_OPS_H

#include <rte_mempool.h>

/* Create the depot of a pool, in the primary. Without memory for it the pool works, only slower. */
void depot_ops_create(const struct rte_mempool *pool);

/* Let this process use the depot of its primary, if there is one, in front of the pool's handler.
 * Processes that do not call it, as those of pipes, use the handler alone.
 */
void depot_ops_attach(const struct rte_mempool *pool);

#endif
