/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/prctl.h>
#include <unistd.h>

#include <rte_branch_prediction.h>
#include <rte_cycles.h>
#include <rte_launch.h>
#include <rte_lcore.h>

#include "base/log.h"
#include "forward/idle.h"
#include "forward/worker.h"

#define BURST 64 /* 6 % more than 32, null to null */
/* Shorter, and the consumer of a busy ring sleeps between two bursts; each sleep costs both
 * sides a system call.
 */
#define AWAKE_US 50
#define SYNC_POLL_US 20

struct worker {
	struct table *table; /* replaced by the control thread */
	uint64_t seen;	     /* the generation this worker works with */
	unsigned int lcore;
	bool running;
	bool stop;
	struct sleeper sleeper;
} __rte_cache_aligned;

static struct {
	uint64_t generation;
	unsigned int nworkers;
	struct worker worker[RTE_MAX_LCORE];
} fwd;

/* The hot path: no log, no system call, no allocation, no lock of its own. */
static inline uint16_t
move_burst(const struct pair *p)
{
	struct rte_mbuf *bufs[BURST];
	uint16_t received, sent;

	received = p->rx(p->src, bufs, BURST);
	if (received == 0)
		return 0;
	p->src->stats->rx += received;
	sent = p->tx(p->dst, bufs, received);
	p->dst->stats->tx += sent;
	if (unlikely(sent < received)) {
		p->dst->stats->tx_drop += (uint64_t)(received - sent);
		rte_pktmbuf_free_bulk(&bufs[sent], (unsigned int)(received - sent));
	}
	return received;
}

static inline unsigned int
move_all(const struct table *table)
{
	unsigned int i, moved = 0;

	for (i = 0; i < table->n; i++)
		moved += move_burst(&table->pair[i]);
	return moved;
}

/* Asks for events, looks once more so that none is missed, and only then sleeps. */
static unsigned int
rest(struct sleeper *s, const struct table *table)
{
	unsigned int moved;

	sleeper_arm(s, table);
	moved = move_all(table);
	if (moved == 0)
		sleeper_wait(s, table);
	sleeper_disarm(s, table);
	return moved;
}

static const struct table *
newest_table(struct worker *w)
{
	/* Generation before table: whoever waits for this generation knows that the table used
	 * from here on is at least as new.
	 */
	uint64_t generation = __atomic_load_n(&fwd.generation, __ATOMIC_ACQUIRE);

	__atomic_store_n(&w->seen, generation, __ATOMIC_RELEASE);
	return __atomic_load_n(&w->table, __ATOMIC_ACQUIRE);
}

static int
worker_main(void *arg)
{
	const uint64_t awake = rte_get_tsc_hz() / 1000000 * AWAKE_US;
	struct worker *w = arg;
	uint64_t busy = rte_rdtsc(); /* when there was last something to do */
	const struct table *table;

	prctl(PR_SET_TIMERSLACK, 1000UL, 0, 0, 0); /* 50 us by default: longer than our naps */
	while (!__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE)) {
		table = newest_table(w);
		if (likely(move_all(table) > 0)) {
			busy = 0;
			continue;
		}
		if (busy == 0) {
			busy = rte_rdtsc();
			sleeper_rested(&w->sleeper);
		} else if (rte_rdtsc() - busy > awake && rest(&w->sleeper, table) > 0) {
			busy = 0;
		}
	}
	__atomic_store_n(&w->running, false, __ATOMIC_RELEASE);
	return 0;
}

void
forward_wake(void)
{
	unsigned int i;

	for (i = 0; i < fwd.nworkers; i++)
		sleeper_wake(&fwd.worker[i].sleeper);
}

void
forward_synchronize(void)
{
	uint64_t generation = __atomic_add_fetch(&fwd.generation, 1, __ATOMIC_SEQ_CST);
	unsigned int i;

	forward_wake();
	for (i = 0; i < fwd.nworkers; i++)
		while (__atomic_load_n(&fwd.worker[i].running, __ATOMIC_ACQUIRE) &&
				__atomic_load_n(&fwd.worker[i].seen, __ATOMIC_ACQUIRE) < generation)
			usleep(SYNC_POLL_US);
}

static void
publish(struct table **tables)
{
	struct table *old[RTE_MAX_LCORE];
	unsigned int i;

	for (i = 0; i < fwd.nworkers; i++) {
		old[i] = fwd.worker[i].table;
		__atomic_store_n(&fwd.worker[i].table, tables[i], __ATOMIC_RELEASE);
	}
	forward_synchronize();
	for (i = 0; i < fwd.nworkers; i++)
		table_free(old[i]);
}

int
forward_apply(const struct port_table *ports, bool running)
{
	struct table *first[RTE_MAX_LCORE], *second[RTE_MAX_LCORE];
	struct division division;
	unsigned int i;

	if (fwd.nworkers == 0)
		return 0;
	division_make(&division, ports, running, fwd.nworkers);
	if (division_fill(&division, second, fwd.nworkers, false) < 0)
		return -1;
	if (division_moves(&division)) {
		/* what changes hands is first dropped by the one worker, then taken by the other */
		if (division_fill(&division, first, fwd.nworkers, true) < 0) {
			for (i = 0; i < fwd.nworkers; i++)
				table_free(second[i]);
			return -1;
		}
		publish(first);
	}
	publish(second);
	division_record(&division, ports);
	return 0;
}

int
forward_start(void)
{
	struct worker *w;
	unsigned int lcore;

	waker_set_up();
	RTE_LCORE_FOREACH_WORKER(lcore) {
		w = &fwd.worker[fwd.nworkers];
		w->table = &table_of_nothing;
		w->lcore = lcore;
		w->running = true;
		if (sleeper_open(&w->sleeper) < 0 ||
				rte_eal_remote_launch(worker_main, w, lcore) != 0) {
			say("cannot start the worker on lcore %u", lcore);
			return -1;
		}
		fwd.nworkers++;
	}
	return 0;
}

void
forward_stop(void)
{
	unsigned int i;

	for (i = 0; i < fwd.nworkers; i++)
		__atomic_store_n(&fwd.worker[i].stop, true, __ATOMIC_RELEASE);
	forward_wake();
	for (i = 0; i < fwd.nworkers; i++) {
		rte_eal_wait_lcore(fwd.worker[i].lcore);
		table_free(fwd.worker[i].table);
		fwd.worker[i].table = &table_of_nothing;
	}
}
