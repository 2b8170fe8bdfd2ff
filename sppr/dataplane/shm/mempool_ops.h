/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef HANDLERS_H
#define HANDLERS_H

#include <rte_mempool.h>

/* A pool names its handler by an index into a table that each process has of its own, and whose
 * order depends on how DPDK was linked or loaded.
 */
typedef char handler_names[RTE_MEMPOOL_MAX_OPS_IDX][RTE_MEMPOOL_OPS_NAMESIZE];

/* The names in this process's order. */
void handlers_publish(handler_names names);

/* Puts this process's table into that order; -1 when there is no such handler for `index`. Before
 * the first use of a pool.
 */
int handlers_follow(const handler_names names, unsigned int index);

#endif
