/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>

#include "base/check.h"
#include "shm/mempool_ops.h"

static void
add(const char *name)
{
	struct rte_mempool_ops *ops = &rte_mempool_ops_table.ops[rte_mempool_ops_table.num_ops++];

	snprintf(ops->name, sizeof(ops->name), "%s", name);
}

static void
table_of(const char *a, const char *b, const char *c)
{
	memset(&rte_mempool_ops_table, 0, sizeof(rte_mempool_ops_table));
	add(a);
	add(b);
	add(c);
}

static const char *
name_of(unsigned int i)
{
	return rte_mempool_ops_table.ops[i].name;
}

static void
another_order(void)
{
	mempool_ops_names names = { "" };

	table_of("ring", "stack", "lf_stack");
	mempool_ops_publish(names);
	table_of("lf_stack", "ring", "stack");
	CHECK(mempool_ops_reorder(names, 2) == 0);
	CHECK(strcmp(name_of(0), "ring") == 0);
	CHECK(strcmp(name_of(1), "stack") == 0);
	CHECK(strcmp(name_of(2), "lf_stack") == 0);
}

static void
one_is_missing(void)
{
	mempool_ops_names names = { "" };

	table_of("ring", "bucket", "lf_stack");
	mempool_ops_publish(names);
	table_of("lf_stack", "ring", "stack");
	CHECK(mempool_ops_reorder(names, 2) == 0);
	CHECK(mempool_ops_reorder(names, 1) < 0);
	CHECK(mempool_ops_reorder(names, 9) < 0);
	CHECK(strcmp(name_of(0), "ring") == 0);
}

int
main(void)
{
	another_order();
	one_is_missing();
	return 0;
}
