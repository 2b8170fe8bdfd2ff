/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SHM_MEMPOOL_OPS_H
#define SHM_MEMPOOL_OPS_H

#include <rte_mempool.h>

/* A mempool refers to its handler by an index into a table that each process has. The order of the
 * table depends on how DPDK was linked or loaded, so secondaries reorder theirs.
 */
typedef char mempool_ops_names[RTE_MEMPOOL_MAX_OPS_IDX][RTE_MEMPOOL_OPS_NAMESIZE];

/* Store the names in the order of this process. */
void mempool_ops_publish(mempool_ops_names names);

/* Put the table of this process into that order, before the first use of a pool. Return -1 if there
 * is no such handler for `index`.
 */
int mempool_ops_reorder(const mempool_ops_names names, unsigned int index);

#endif
