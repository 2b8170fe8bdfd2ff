/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <rte_string_fns.h>

#include "shm/mempool_ops.h"

void
mempool_ops_publish(mempool_ops_names names)
{
	unsigned int i;

	for (i = 0; i < rte_mempool_ops_table.num_ops; i++)
		rte_strscpy(names[i], rte_mempool_ops_table.ops[i].name, sizeof(names[i]));
}

int
mempool_ops_reorder(const mempool_ops_names names, unsigned int index)
{
	struct rte_mempool_ops *ops = rte_mempool_ops_table.ops, swap;
	unsigned int i, j, n = rte_mempool_ops_table.num_ops;

	for (i = 0; i < n; i++) {
		for (j = 0; j < n && strcmp(ops[j].name, names[i]) != 0; j++)
			;
		if (j == n)
			continue;
		swap = ops[i];
		ops[i] = ops[j];
		ops[j] = swap;
	}
	return index < n && strcmp(ops[index].name, names[index]) == 0 ? 0 : -1;
}
