/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <rte_branch_prediction.h>
#include <rte_common.h>
#include <rte_memzone.h>

#include "shm/depot.h"
#include "shm/depot_ops.h"

#define ZONE_NAME "MProc_pool_depot"
#define LEAST 32 /* fewer objects are not worth a magazine */
/* A process without the depot can only use what the handler has. The depot holds at most a quarter
 * of the pool, and gets nothing while the handler has less than a sixteenth.
 */
#define SHARE_OF_POOL 4
#define SHARE_OF_HANDLER 16

static struct depot *depot;
static const struct rte_mempool *depot_pool;
static struct rte_mempool_ops handler; /* of the pool, as DPDK registered it */

static bool
fits_depot(const struct rte_mempool *mp, unsigned int n)
{
	return mp == depot_pool && n >= LEAST && n <= DEPOT_MAGAZINE &&
	       handler.get_count(mp) >= mp->size / SHARE_OF_HANDLER;
}

static int
enqueue(struct rte_mempool *mp, void *const *objects, unsigned int n)
{
	if (likely(fits_depot(mp, n)) && depot_put(depot, objects, n) == 0)
		return 0;
	return handler.enqueue(mp, objects, n);
}

/* A failure must not write to objects: when a mempool fills a cache, this is the array of the
 * cache, and the cache keeps its entries if the pool has too few.
 */
static int
dequeue(struct rte_mempool *mp, void **objects, unsigned int n)
{
	void *taken[DEPOT_MAGAZINE];
	unsigned int got;

	if (unlikely(mp != depot_pool || n > DEPOT_MAGAZINE))
		return handler.dequeue(mp, objects, n);
	if (n < LEAST && handler.dequeue(mp, objects, n) == 0)
		return 0;
	got = depot_get(depot, taken, n);
	if (likely(got == n) || handler.dequeue(mp, &objects[got], n - got) == 0) {
		memcpy(objects, taken, got * sizeof(taken[0]));
		return 0;
	}
	if (got > 0)
		enqueue(mp, taken, got);
	return -ENOBUFS;
}

static unsigned int
get_count(const struct rte_mempool *mp)
{
	return handler.get_count(mp) + (mp == depot_pool ? depot_count(depot) : 0);
}

void
depot_ops_create(const struct rte_mempool *pool)
{
	const struct rte_memzone *zone = rte_memzone_reserve_aligned(
			ZONE_NAME, sizeof(*depot), pool->socket_id, 0, RTE_CACHE_LINE_SIZE);

	if (zone != NULL)
		depot_init(zone->addr, pool->size / SHARE_OF_POOL / DEPOT_MAGAZINE);
}

void
depot_ops_attach(const struct rte_mempool *pool)
{
	const struct rte_memzone *zone = rte_memzone_lookup(ZONE_NAME);
	struct rte_mempool_ops *ops = rte_mempool_get_ops(pool->ops_index);

	if (zone == NULL)
		return;
	depot = zone->addr;
	depot_pool = pool;
	handler = *ops;
	ops->enqueue = enqueue;
	ops->dequeue = dequeue;
	ops->get_count = get_count;
}
