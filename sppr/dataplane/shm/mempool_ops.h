/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SHM_MEMPOOL_OPS_H
#define SHM_MEMPOOL_OPS_H

#include <rte_mempool.h>

/* A pool names its handler by an index into a table that each process has of its own, and whose
 * order depends on how DPDK was linked or loaded.
 */
typedef char mempool_ops_names[RTE_MEMPOOL_MAX_OPS_IDX][RTE_MEMPOOL_OPS_NAMESIZE];

/* The names in this process's order. */
void mempool_ops_publish(mempool_ops_names names);

/* Puts this process's table into that order; -1 when there is no such handler for `index`. Before
 * the first use of a pool.
 */
int mempool_ops_reorder(const mempool_ops_names names, unsigned int index);

#endif
