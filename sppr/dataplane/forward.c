/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

#include <rte_branch_prediction.h>
#include <rte_launch.h>
#include <rte_lcore.h>

#include "forward.h"
#include "plan.h"
#include "say.h"

#define BURST 32
#define POLLS_BEFORE_SLEEP 300
#define SLEEP_MIN_NS 10000
#define SLEEP_MAX_NS 500000
#define SYNC_POLL_US 20

struct pair {
	uint16_t (*rx)(struct port *port, struct rte_mbuf **bufs, uint16_t n);
	uint16_t (*tx)(struct port *port, struct rte_mbuf **bufs, uint16_t n);
	struct port *src;
	struct port *dst;
};

struct table {
	unsigned int n;
	struct pair pair[];
};

struct worker {
	struct table *table; /* replaced by the control thread */
	uint64_t seen;	     /* the generation this worker works with */
	unsigned int lcore;
	int wake_fd;
	bool running;
	bool stop;
} __rte_cache_aligned;

static struct {
	uint64_t generation;
	unsigned int nworkers;
	struct worker worker[RTE_MAX_LCORE];
	struct table nothing;
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

/* Nothing to poll: cost nothing until the control thread has something new. */
static void
sleep_until_woken(const struct worker *w)
{
	uint64_t count;

	if (read(w->wake_fd, &count, sizeof(count)) < 0)
		return; /* a signal; the loop looks again */
}

/* Patched, but nothing arrives. The seam for waiting on the ports' wait_fd instead. */
static void
back_off(unsigned int *sleep_ns)
{
	struct timespec t = { 0, (long)*sleep_ns };

	clock_nanosleep(CLOCK_MONOTONIC, 0, &t, NULL);
	*sleep_ns = RTE_MIN(*sleep_ns * 2, (unsigned int)SLEEP_MAX_NS);
}

static int
worker_main(void *arg)
{
	struct worker *w = arg;
	unsigned int idle = 0, sleep_ns = SLEEP_MIN_NS, moved, i;
	const struct table *table;
	uint64_t generation;

	prctl(PR_SET_TIMERSLACK, 1000UL, 0, 0, 0); /* 50 us by default: longer than our sleeps */
	while (!__atomic_load_n(&w->stop, __ATOMIC_ACQUIRE)) {
		/* Generation before table: whoever waits for this generation knows that the
		 * table used from here on is at least as new.
		 */
		generation = __atomic_load_n(&fwd.generation, __ATOMIC_ACQUIRE);
		__atomic_store_n(&w->seen, generation, __ATOMIC_RELEASE);
		table = __atomic_load_n(&w->table, __ATOMIC_ACQUIRE);
		if (table->n == 0) {
			sleep_until_woken(w);
			continue;
		}
		moved = 0;
		for (i = 0; i < table->n; i++)
			moved += move_burst(&table->pair[i]);
		if (likely(moved > 0)) {
			idle = 0;
			sleep_ns = SLEEP_MIN_NS;
		} else if (++idle > POLLS_BEFORE_SLEEP) {
			back_off(&sleep_ns);
		}
	}
	__atomic_store_n(&w->running, false, __ATOMIC_RELEASE);
	return 0;
}

static void
wake(const struct worker *w)
{
	uint64_t one = 1;

	if (write(w->wake_fd, &one, sizeof(one)) < 0)
		return; /* the counter is full: it is awake */
}

void
forward_synchronize(void)
{
	uint64_t generation = __atomic_add_fetch(&fwd.generation, 1, __ATOMIC_SEQ_CST);
	unsigned int i;

	for (i = 0; i < fwd.nworkers; i++)
		wake(&fwd.worker[i]);
	for (i = 0; i < fwd.nworkers; i++)
		while (__atomic_load_n(&fwd.worker[i].running, __ATOMIC_ACQUIRE) &&
				__atomic_load_n(&fwd.worker[i].seen, __ATOMIC_ACQUIRE) < generation)
			usleep(SYNC_POLL_US);
}

/* An empty table takes no memory, so stopping cannot fail. */
static struct table *
new_table(unsigned int n)
{
	if (n == 0)
		return &fwd.nothing;
	return malloc(sizeof(struct table) + n * sizeof(struct pair));
}

static void
free_table(struct table *table)
{
	if (table != &fwd.nothing)
		free(table);
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
		free_table(old[i]);
}

/* Whether a worker may use both ends at once with what the others do now. */
static bool
free_for(const struct port *src, const struct port *dst, int worker)
{
	return (src->rx_worker < 0 || src->rx_worker == worker) &&
	       (dst->tx_worker < 0 || dst->tx_worker == worker);
}

/* One table a worker; with only_free without the patches another worker still has a hand on. */
static int
fill_tables(struct table **tables, struct port *const *src, const struct plan_item *items,
		unsigned int n, bool only_free)
{
	unsigned int i, w;
	struct table *t;

	for (w = 0; w < fwd.nworkers; w++) {
		tables[w] = new_table(n);
		if (tables[w] == NULL) {
			say("no memory for a patch table");
			while (w-- > 0)
				free_table(tables[w]);
			return -1;
		}
		t = tables[w];
		if (n > 0)
			t->n = 0;
		for (i = 0; i < n; i++) {
			struct port *dst = src[i]->patched_to;

			if (items[i].worker != (int)w ||
					(only_free && !free_for(src[i], dst, (int)w)))
				continue;
			t->pair[t->n++] = (struct pair){ src[i]->ops->rx_burst, dst->ops->tx_burst,
				src[i], dst };
		}
	}
	return 0;
}

static unsigned int
collect(const struct port_table *ports, bool running, struct port **src, struct plan_item *items)
{
	unsigned int i, n = 0;

	for (i = 0; running && i < ports->n; i++) {
		struct port *p = ports->port[i];

		if (p->patched_to == NULL)
			continue;
		src[n] = p;
		items[n].dst = p->patched_to;
		items[n++].was = p->patched_to->tx_worker;
	}
	return n;
}

static void
record_workers(const struct port_table *ports, struct port *const *src,
		const struct plan_item *items, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < ports->n; i++) {
		ports->port[i]->rx_worker = -1;
		ports->port[i]->tx_worker = -1;
	}
	for (i = 0; i < n; i++) {
		src[i]->rx_worker = items[i].worker;
		src[i]->patched_to->tx_worker = items[i].worker;
	}
}

int
forward_apply(const struct port_table *ports, bool running)
{
	struct table *first[RTE_MAX_LCORE], *second[RTE_MAX_LCORE];
	struct plan_item items[MAX_PORTS];
	struct port *src[MAX_PORTS];
	unsigned int n, i;
	bool moves = false;

	if (fwd.nworkers == 0)
		return 0;
	n = collect(ports, running, src, items);
	plan_divide(items, n, fwd.nworkers);
	for (i = 0; i < n; i++)
		moves |= !free_for(src[i], src[i]->patched_to, items[i].worker);
	if (fill_tables(second, src, items, n, false) < 0)
		return -1;
	if (moves) {
		/* what changes hands is first dropped by the one worker, then taken by the other */
		if (fill_tables(first, src, items, n, true) < 0) {
			for (i = 0; i < fwd.nworkers; i++)
				free_table(second[i]);
			return -1;
		}
		publish(first);
	}
	publish(second);
	record_workers(ports, src, items, n);
	return 0;
}

int
forward_start(void)
{
	struct worker *w;
	unsigned int lcore;

	RTE_LCORE_FOREACH_WORKER(lcore) {
		w = &fwd.worker[fwd.nworkers];
		w->table = &fwd.nothing;
		w->lcore = lcore;
		w->running = true;
		w->wake_fd = eventfd(0, EFD_CLOEXEC);
		if (w->wake_fd < 0 || rte_eal_remote_launch(worker_main, w, lcore) != 0) {
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

	for (i = 0; i < fwd.nworkers; i++) {
		__atomic_store_n(&fwd.worker[i].stop, true, __ATOMIC_RELEASE);
		wake(&fwd.worker[i]);
	}
	for (i = 0; i < fwd.nworkers; i++) {
		rte_eal_wait_lcore(fwd.worker[i].lcore);
		free_table(fwd.worker[i].table);
		fwd.worker[i].table = &fwd.nothing;
	}
}
