/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <rte_lcore.h>
#include <rte_mempool.h>

#include "base/log.h"
#include "shm/shared.h"

/* Who has what of the shared memory: sides of ports, lcore ids. */

/* 0 when there is no such process, or only what is left of one. */
static process_id
find_process(pid_t pid)
{
	unsigned long long start = 0;
	char path[32], line[1024], state = 'X', *name_end;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	f = fopen(path, "re");
	if (f == NULL)
		return 0;
	if (fgets(line, sizeof(line), f) != NULL && (name_end = strrchr(line, ')')) != NULL)
		/* state is field 3, starttime field 22 */
		sscanf(name_end + 1,
				" %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s "
				"%*s %*s %*s %llu",
				&state, &start);
	fclose(f);
	if (state == 'X' || state == 'Z')
		return 0;
	return (uint64_t)pid << 32 | (uint32_t)start;
}

static process_id
own_id(void)
{
	static process_id id;

	if (id == 0)
		id = find_process(getpid());
	return id;
}

pid_t
shared_claim(process_id *slot, bool *stale)
{
	process_id owner = __atomic_load_n(slot, __ATOMIC_ACQUIRE);
	pid_t pid;

	*stale = false;
	for (;;) {
		if (owner == own_id())
			return 0;
		pid = (pid_t)(owner >> 32);
		if (owner != 0 && find_process(pid) == owner)
			return pid;
		*stale = owner != 0;
		if (__atomic_compare_exchange_n(slot, &owner, own_id(), false, __ATOMIC_ACQ_REL,
				    __ATOMIC_ACQUIRE))
			return 0;
	}
}

bool
shared_alive(process_id process)
{
	return process != 0 && find_process((pid_t)(process >> 32)) == process;
}

void
shared_release(process_id *slot)
{
	process_id me = own_id();

	__atomic_compare_exchange_n(slot, &me, 0, false, __ATOMIC_RELEASE, __ATOMIC_RELAXED);
}

/* A kill inside the pool's put or get leaves entries in the cache that are in use elsewhere too,
 * and nothing tells: what is in it, at most 1.5 * POOL_CACHE mbufs, is lost rather than handed out
 * twice.
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
		owner = shared_claim(&info->lcore_user[lcore], &stale);
		if (owner != 0) {
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
		shared_release(&view->info->lcore_user[lcore]);
}
