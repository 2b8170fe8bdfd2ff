/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <string.h>

#include <rte_memzone.h>

#include "base/check.h"
#include "shm/depot.h"
#include "shm/depot_ops.h"

/* A pool whose handler is an array, with the depot in ordinary memory: no EAL, no hugepages. */

#define QUARTER DEPOT_MAGAZINE /* one magazine */
#define OBJECTS (4 * QUARTER)
#define RESERVE (OBJECTS / 16)

static struct depot memory;
static struct rte_memzone zone = { .addr = &memory };
static struct rte_mempool pool = { .size = OBJECTS }, other;
static const struct rte_mempool_ops *ops;
static char object[OBJECTS];
static void *stock[OBJECTS];
static unsigned int stocked;

/* These two replace those of DPDK. */
const struct rte_memzone *
rte_memzone_reserve_aligned(
		const char *name, size_t len, int socket, unsigned int flags, unsigned int align)
{
	(void)name, (void)socket, (void)flags, (void)align;
	CHECK(len == sizeof(memory));
	return &zone;
}

const struct rte_memzone *
rte_memzone_lookup(const char *name)
{
	(void)name;
	return &zone;
}

static int
stock_enqueue(struct rte_mempool *mp, void *const *objects, unsigned int n)
{
	(void)mp;
	memcpy(&stock[stocked], objects, n * sizeof(objects[0]));
	stocked += n;
	return 0;
}

static int
stock_dequeue(struct rte_mempool *mp, void **objects, unsigned int n)
{
	(void)mp;
	if (n > stocked)
		return -ENOBUFS;
	stocked -= n;
	memcpy(objects, &stock[stocked], n * sizeof(objects[0]));
	return 0;
}

static unsigned int
stock_count(const struct rte_mempool *mp)
{
	(void)mp;
	return stocked;
}

static int
stock_alloc(struct rte_mempool *mp)
{
	(void)mp;
	return 0;
}

static const struct rte_mempool_ops stock_ops = {
	.name = "stock",
	.alloc = stock_alloc,
	.enqueue = stock_enqueue,
	.dequeue = stock_dequeue,
	.get_count = stock_count,
};

/* Put objects of this range into the pool, as one block. */
static void
put(unsigned int from, unsigned int n)
{
	void *block[OBJECTS];
	unsigned int i;

	for (i = 0; i < n; i++)
		block[i] = &object[from + i];
	CHECK(ops->enqueue(&pool, block, n) == 0);
}

/* Take all objects, each once. Return how many. */
static unsigned int
drain(void)
{
	bool seen[OBJECTS] = { false };
	unsigned int n;
	void *one;

	for (n = 0; ops->dequeue(&pool, &one, 1) == 0; n++) {
		CHECK(!seen[(char *)one - object]);
		seen[(char *)one - object] = true;
	}
	return n;
}

static void
the_depot_has_at_most_a_quarter(void)
{
	put(0, RESERVE);
	put(RESERVE, QUARTER);
	CHECK(stocked == RESERVE);
	put(RESERVE + QUARTER, QUARTER);
	CHECK(stocked == RESERVE + QUARTER);
	CHECK(ops->get_count(&pool) == RESERVE + 2 * QUARTER);
	CHECK(drain() == RESERVE + 2 * QUARTER);
}

/* A process without the depot gets mbufs while the pool has some. */
static void
the_handler_has_a_reserve_first(void)
{
	put(0, RESERVE - 1);
	put(RESERVE - 1, 100);
	CHECK(stocked == RESERVE + 99);
	put(RESERVE + 99, 100);
	CHECK(stocked == RESERVE + 99 && ops->get_count(&pool) == RESERVE + 199);
	CHECK(drain() == RESERVE + 199);
}

/* Put 100 objects into the depot, and the rest into the handler. Return how many there are. */
static unsigned int
fill_both(void)
{
	put(0, RESERVE);
	put(RESERVE, 100);
	CHECK(stocked == RESERVE);
	return RESERVE + 100;
}

static void
a_get_takes_from_both(void)
{
	void *block[OBJECTS];
	unsigned int n = fill_both();

	CHECK(ops->dequeue(&pool, block, n - 5) == 0);
	CHECK(drain() == 5);
}

/* A mempool that fills a cache passes the array of the cache, and uses it after a failure. */
static void
a_failed_get_writes_nothing(void)
{
	void *block[DEPOT_MAGAZINE] = { NULL };
	unsigned int i, n = fill_both();

	CHECK(ops->dequeue(&pool, block, n + 1) == -ENOBUFS);
	for (i = 0; i < DEPOT_MAGAZINE; i++)
		CHECK(block[i] == NULL);
	CHECK(drain() == n);
}

static void
another_pool_has_the_handler_only(void)
{
	void *block[DEPOT_MAGAZINE] = { NULL };

	put(0, RESERVE);
	CHECK(ops->enqueue(&other, block, QUARTER) == 0);
	CHECK(stocked == RESERVE + QUARTER && ops->get_count(&other) == RESERVE + QUARTER);
	CHECK(ops->dequeue(&other, block, QUARTER) == 0);
	CHECK(drain() == RESERVE);
}

int
main(void)
{
	int index = rte_mempool_register_ops(&stock_ops);

	CHECK(index >= 0);
	pool.ops_index = other.ops_index = index;
	depot_ops_create(&pool);
	depot_ops_attach(&pool);
	ops = rte_mempool_get_ops(index);
	the_depot_has_at_most_a_quarter();
	the_handler_has_a_reserve_first();
	a_get_takes_from_both();
	a_failed_get_writes_nothing();
	another_pool_has_the_handler_only();
	return 0;
}
