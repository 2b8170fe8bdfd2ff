/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_eal.h>
#include <rte_errno.h>
#include <rte_lcore.h>
#include <rte_mbuf.h>
#include <rte_memzone.h>

#include "base/clock.h"
#include "base/log.h"
#include "shm/depot_ops.h"
#include "shm/mempool_ops.h"
#include "shm/owner.h"
#include "shm/shared.h"

#define MBUFS_EACH 1536 /* per ring and port, as in SPP */
#define POOL_CACHE 256	/* a flush has at most 1.5 times this: DEPOT_MAGAZINE */
#define ATTACH_TRIES 20
#define ATTACH_WAIT_US 100000

/* lf_stack survives a process that is killed during an operation. With a ring handler the next user
 * may spin forever. The depot in front of it does the same, and is faster between two cores.
 */
int
shared_create_pool(struct shared_view *view, unsigned int nports, unsigned int nrings,
		unsigned int held)
{
	unsigned int n = (nports + nrings) * MBUFS_EACH + held;
	static const char *const ops[] = { "lf_stack", NULL };
	unsigned int i;

	for (i = 0; i < RTE_DIM(ops) && view->pool == NULL; i++)
		view->pool = rte_pktmbuf_pool_create_by_ops(SHARED_POOL_NAME, n, POOL_CACHE, 0,
				RTE_MBUF_DEFAULT_BUF_SIZE, (int)rte_socket_id(), ops[i]);
	if (view->pool == NULL) {
		log_line("cannot make %s of %u mbufs: %s (more --socket-mem, fewer rings or "
			 "--held-frames?)",
				SHARED_POOL_NAME, n, rte_strerror(rte_errno));
		return -1;
	}
	return 0;
}

static int
create_rings(struct shared_view *view, uint16_t nrings)
{
	char name[RTE_RING_NAMESIZE];
	uint16_t i;

	for (i = 0; i < nrings; i++) {
		snprintf(name, sizeof(name), SHARED_RING_NAME, i);
		view->ring[i] = rte_ring_create(name, SHARED_RING_SLOTS, (int)rte_socket_id(),
				RING_F_SP_ENQ | RING_F_SC_DEQ);
		if (view->ring[i] == NULL) {
			log_line("cannot make %s: %s", name, rte_strerror(rte_errno));
			return -1;
		}
	}
	return 0;
}

/* A process killed during a put or get of the pool may leave entries in its cache that are used
 * elsewhere. They cannot be distinguished, so all entries (at most 1.5 * POOL_CACHE mbufs) are
 * dropped, not handed out twice.
 */
static void
drop_cache(const struct shared_view *view, unsigned int lcore)
{
	struct rte_mempool_cache *cache = rte_mempool_default_cache(view->pool, lcore);

	if (cache == NULL)
		return;
	if (cache->len > 0)
		log_line("lcore %u: its last user was killed; %u mbufs of its cache are lost",
				lcore, cache->len);
	cache->len = 0;
}

int
shared_claim_lcores(const struct shared_view *view)
{
	struct shared *info = view->info;
	unsigned int lcore;
	pid_t owner;
	bool stale;

	RTE_LCORE_FOREACH_WORKER(lcore) {
		owner = owner_claim(&info->lcore_user[lcore], &stale);
		if (owner < 0)
			return -1;
		if (owner > 0) {
			log_line("lcore %u is in use by process %d: give each process worker lcore "
				 "ids "
				 "of "
				 "its own (they may share a CPU, as --lcores 0@0,%u@1); not "
				 "starting",
					lcore, owner, lcore + 1);
			return -1;
		}
		if (stale)
			drop_cache(view, lcore);
	}
	return 0;
}

void
shared_release_lcores(const struct shared_view *view)
{
	unsigned int lcore;

	RTE_LCORE_FOREACH_WORKER(lcore)
		owner_release(&view->info->lcore_user[lcore]);
}

int
shared_publish(struct shared_view *view, const struct shared_port *ports, uint16_t nports,
		uint16_t nrings, unsigned int held)
{
	const struct rte_memzone *zone;
	struct shared *info;

	if (create_rings(view, nrings) < 0)
		return -1;
	zone = rte_memzone_reserve(SHARED_ZONE_NAME, sizeof(*info), (int)rte_socket_id(), 0);
	if (zone == NULL) {
		log_line("cannot make %s: %s", SHARED_ZONE_NAME, rte_strerror(rte_errno));
		return -1;
	}
	info = zone->addr;
	memset(info, 0, sizeof(*info));
	info->version = SHARED_VERSION;
	info->size = sizeof(*info);
	info->primary_pid = (uint32_t)getpid();
	mempool_ops_publish(info->mempool_ops);
	info->nports = nports;
	info->nrings = nrings;
	info->held_limit = held;
	memcpy(info->port, ports, nports * sizeof(ports[0]));
	info->published_ns = monotonic_ns();
	depot_ops_create(view->pool);
	depot_ops_attach(view->pool);
	view->info = info;
	if (shared_claim_lcores(view) < 0)
		return -1;
	/* the magic comes last, so a secondary that sees it sees the rest */
	__atomic_store_n(&info->magic, SHARED_MAGIC, __ATOMIC_RELEASE);
	return 0;
}

struct port_stats
shared_port_stats(const struct shared *info, uint16_t port)
{
	struct port_stats sum = { 0 };
	uint16_t q;

	for (q = 0; q < MAX_QUEUES; q++) {
		sum.rx += info->port_stats[port][q].rx;
		sum.rx_drop += info->port_stats[port][q].rx_drop;
		sum.rx_bytes += info->port_stats[port][q].rx_bytes;
		sum.tx += info->port_stats[port][q].tx;
		sum.tx_drop += info->port_stats[port][q].tx_drop;
		sum.tx_bytes += info->port_stats[port][q].tx_bytes;
	}
	return sum;
}

static struct shared *
find_info(void)
{
	const struct rte_memzone *zone;
	struct shared *info;
	int i;

	/* a primary that has just started publishes soon */
	for (i = 0; i < ATTACH_TRIES; i++) {
		zone = rte_memzone_lookup(SHARED_ZONE_NAME);
		info = zone != NULL ? zone->addr : NULL;
		if (info != NULL && __atomic_load_n(&info->magic, __ATOMIC_ACQUIRE) == SHARED_MAGIC)
			return info;
		usleep(ATTACH_WAIT_US);
	}
	return NULL;
}

int
shared_attach(struct shared_view *view)
{
	char name[RTE_RING_NAMESIZE];
	struct shared *info = find_info();
	uint16_t i;

	if (info == NULL) {
		log_line("the primary of this --file-prefix has no " SHARED_ZONE_NAME
			 " of ours: not a spp_primary of this build, or not ready; not starting");
		return -1;
	}
	if (info->version != SHARED_VERSION || info->size != sizeof(*info)) {
		log_line("the primary has version %u (%u bytes) of " SHARED_ZONE_NAME
			 ", this program %u (%zu bytes): use programs of one build; not starting",
				info->version, info->size, SHARED_VERSION, sizeof(*info));
		return -1;
	}
	view->info = info;
	view->pool = rte_mempool_lookup(SHARED_POOL_NAME);
	for (i = 0; i < info->nrings; i++) {
		snprintf(name, sizeof(name), SHARED_RING_NAME, i);
		view->ring[i] = rte_ring_lookup(name);
		if (view->ring[i] == NULL)
			break;
	}
	if (view->pool == NULL || i < info->nrings) {
		log_line("the primary's pool or rings are missing; not starting");
		return -1;
	}
	if (mempool_ops_reorder(info->mempool_ops, (unsigned int)view->pool->ops_index) < 0) {
		log_line("the primary's DPDK has other mempool handlers; not starting");
		return -1;
	}
	depot_ops_attach(view->pool);
	return 0;
}
