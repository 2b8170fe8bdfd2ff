/* SPDX-License-Identifier: BSD-3-Clause */
#include <sys/prctl.h>
#include <unistd.h>

#include <rte_branch_prediction.h>
#include <rte_cycles.h>
#include <rte_launch.h>
#include <rte_lcore.h>

#include "base/log.h"
#include "forward/deliver.h"
#include "forward/idle.h"
#include "forward/worker.h"

/* With a shorter time the consumer of a busy ring sleeps between two bursts, and each sleep costs
 * both sides a system call.
 */
#define BUSY_POLL_US 50
#define SYNC_POLL_US 20

struct worker {
	struct patch_table *table;	/* the control thread replaces it */
	const struct patch_table *used; /* the worker's own: the table that it uses */
	uint64_t seen;			/* the generation that this worker has seen */
	unsigned int lcore;
	bool running;
	bool stop;
	struct idle idle;
} __rte_cache_aligned;

static struct {
	uint64_t generation;
	unsigned int nworkers;
	struct worker worker[RTE_MAX_LCORE];
} workers;

/* The hot path: no log, no system call, no allocation, no lock. */
static inline uint16_t
forward_burst(const struct patch_entry *p)
{
	struct rte_mbuf *bufs[FORWARD_BURST];
	uint16_t received;
	uint64_t bytes = 0;

	received = p->rx(p->src, bufs, FORWARD_BURST);
	if (received == 0) {
		if (p->is_fanout)
			p->tx(p->dst, bufs, 0);
		return 0;
	}
	p->src->stats->rx += received;
	if (p->counts_bytes) {
		bytes = total_bytes(bufs, received);
		p->src->stats->rx_bytes += bytes;
	}
	deliver(p->tx, p->dst, bufs, received, bytes, p->counts_bytes);
	return received;
}

static inline unsigned int
forward_all(const struct patch_table *table)
{
	unsigned int i, moved = 0;

	for (i = 0; i < table->n; i++)
		moved += forward_burst(&table->entry[i]);
	return moved;
}

/* Arm events, poll once more so that no packet is missed, and then sleep. */
static unsigned int
sleep_until_event(struct idle *s, const struct patch_table *table)
{
	unsigned int moved;

	idle_arm(s, table);
	moved = forward_all(table);
	if (moved == 0)
		idle_wait(s, table);
	idle_disarm(s, table);
	return moved;
}

static const struct patch_table *
current_table(struct worker *w)
{
	/* Load the generation before the table: a thread that waits for this generation knows that
	 * the worker uses a table at least as new, and no older one.
	 */
	uint64_t generation = __atomic_load_n(&workers.generation, __ATOMIC_ACQUIRE);
	const struct patch_table *table = __atomic_load_n(&w->table, __ATOMIC_ACQUIRE);

	if (unlikely(table != w->used)) {
		patch_table_flush(w->used);
		w->used = table;
	}
	__atomic_store_n(&w->seen, generation, __ATOMIC_RELEASE);
	return table;
}

static int
worker_main(void *arg)
{
	const uint64_t awake = rte_get_tsc_hz() / 1000000 * BUSY_POLL_US;
	struct worker *w = arg;
	uint64_t busy = rte_rdtsc(); /* time of the last packet */
	const struct patch_table *table;

	/* the default of 50 us is longer than our sleeps */
	prctl(PR_SET_TIMERSLACK, 1000UL, 0, 0, 0);
	while (!__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE)) {
		table = current_table(w);
		if (likely(forward_all(table) > 0)) {
			busy = 0;
			continue;
		}
		if (busy == 0) {
			busy = rte_rdtsc();
			idle_reset(&w->idle);
		} else if (rte_rdtsc() - busy > awake && sleep_until_event(&w->idle, table) > 0) {
			busy = 0;
		}
	}
	__atomic_store_n(&w->running, false, __ATOMIC_RELEASE);
	return 0;
}

void
workers_wake(void)
{
	unsigned int i;

	for (i = 0; i < workers.nworkers; i++)
		idle_wake(&workers.worker[i].idle);
}

void
workers_synchronize(void)
{
	uint64_t generation = __atomic_add_fetch(&workers.generation, 1, __ATOMIC_SEQ_CST);
	unsigned int i;

	workers_wake();
	for (i = 0; i < workers.nworkers; i++)
		while (__atomic_load_n(&workers.worker[i].running, __ATOMIC_ACQUIRE) &&
				__atomic_load_n(&workers.worker[i].seen, __ATOMIC_ACQUIRE) <
						generation)
			usleep(SYNC_POLL_US);
}

static void
publish(struct patch_table **tables)
{
	struct patch_table *old[RTE_MAX_LCORE];
	unsigned int i;

	for (i = 0; i < workers.nworkers; i++) {
		old[i] = workers.worker[i].table;
		__atomic_store_n(&workers.worker[i].table, tables[i], __ATOMIC_RELEASE);
	}
	workers_synchronize();
	for (i = 0; i < workers.nworkers; i++)
		patch_table_free(old[i]);
}

int
workers_apply(const struct port_table *ports, bool running)
{
	struct patch_table *first[RTE_MAX_LCORE], *second[RTE_MAX_LCORE];
	static struct patch_assignment assignment;
	unsigned int i;

	if (workers.nworkers == 0)
		return 0;
	if (patch_assignment_make(&assignment, ports, running, workers.nworkers) < 0 ||
			patch_assignment_make_tables(&assignment, second, workers.nworkers, false) <
					0)
		return -1;
	if (patch_assignment_moves_port(&assignment)) {
		/* Two workers must never use one port, so a port that changes its worker is removed
		 * in a first step.
		 */
		if (patch_assignment_make_tables(&assignment, first, workers.nworkers, true) < 0) {
			for (i = 0; i < workers.nworkers; i++)
				patch_table_free(second[i]);
			return -1;
		}
		publish(first);
	}
	publish(second);
	patch_assignment_record(&assignment, ports);
	return 0;
}

int
workers_start(unsigned int most)
{
	struct worker *w;
	unsigned int lcore;

	ring_notify_init();
	RTE_LCORE_FOREACH_WORKER(lcore) {
		if (workers.nworkers == most)
			break;
		w = &workers.worker[workers.nworkers];
		w->table = &patch_table_empty;
		w->used = &patch_table_empty;
		w->lcore = lcore;
		w->running = true;
		if (idle_open(&w->idle) < 0 || rte_eal_remote_launch(worker_main, w, lcore) != 0) {
			log_line("cannot start the worker on lcore %u", lcore);
			return -1;
		}
		workers.nworkers++;
	}
	return 0;
}

void
workers_stop(void)
{
	unsigned int i;

	for (i = 0; i < workers.nworkers; i++)
		__atomic_store_n(&workers.worker[i].stop, true, __ATOMIC_RELEASE);
	workers_wake();
	for (i = 0; i < workers.nworkers; i++) {
		rte_eal_wait_lcore(workers.worker[i].lcore);
		patch_table_free(workers.worker[i].table);
		workers.worker[i].table = &patch_table_empty;
	}
}
