/* SPDX-License-Identifier: BSD-3-Clause */
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/check.h"
#include "shm/depot.h"

#define THREADS 4
#define ROUNDS 20000
#define BLOCK 320
#define MAGAZINES 8
#define KILLS 200

static struct depot depot;
static char objects[MAGAZINES * DEPOT_MAGAZINE];
static bool in_use[MAGAZINES * DEPOT_MAGAZINE];

static void
fill(unsigned int magazines, unsigned int n)
{
	void *block[DEPOT_MAGAZINE];
	unsigned int i, j;

	for (i = 0; i < magazines; i++) {
		for (j = 0; j < n; j++)
			block[j] = &objects[i * n + j];
		CHECK(depot_put(&depot, block, n) == 0);
	}
}

static void
limits(void)
{
	void *block[DEPOT_MAGAZINE];

	depot_init(&depot, 0);
	CHECK(depot_put(&depot, block, 1) < 0);
	CHECK(depot_get(&depot, block, 1) == 0);
	depot_init(&depot, 2);
	fill(2, DEPOT_MAGAZINE);
	CHECK(depot_put(&depot, block, 1) < 0);
	CHECK(depot_count(&depot) == 2 * DEPOT_MAGAZINE);
}

/* A get takes part of a magazine, and more than one. */
static void
parts(void)
{
	void *block[DEPOT_MAGAZINE];

	depot_init(&depot, 3);
	fill(3, 100);
	CHECK(depot_get(&depot, block, 30) == 30);
	CHECK(depot_count(&depot) == 270);
	CHECK(depot_get(&depot, block, 200) == 200);
	CHECK(depot_get(&depot, block, 200) == 70);
	CHECK(depot_get(&depot, block, 200) == 0);
	fill(3, 100); /* all magazines are empty again */
}

static void *
take_and_return(void *arg)
{
	void *block[BLOCK];
	unsigned int i, j, n;
	ptrdiff_t at;

	(void)arg;
	for (i = 0; i < ROUNDS; i++) {
		n = depot_get(&depot, block, 1 + (i * 37) % BLOCK);
		for (j = 0; j < n; j++) {
			at = (char *)block[j] - objects;
			CHECK(at >= 0 && at < (ptrdiff_t)sizeof(objects));
			CHECK(!__atomic_exchange_n(&in_use[at], true, __ATOMIC_ACQ_REL));
		}
		for (j = 0; j < n; j++) {
			at = (char *)block[j] - objects;
			__atomic_store_n(&in_use[at], false, __ATOMIC_RELEASE);
		}
		while (n > 0 && depot_put(&depot, block, n) < 0)
			; /* another thread has the magazines for a moment */
	}
	return NULL;
}

/* No object is handed out twice, and none is lost. */
static void
threads(void)
{
	pthread_t thread[THREADS];
	unsigned int i;

	depot_init(&depot, DEPOT_MAGAZINES);
	fill(MAGAZINES, DEPOT_MAGAZINE);
	for (i = 0; i < THREADS; i++)
		CHECK(pthread_create(&thread[i], NULL, take_and_return, NULL) == 0);
	for (i = 0; i < THREADS; i++)
		CHECK(pthread_join(thread[i], NULL) == 0);
	CHECK(depot_count(&depot) == MAGAZINES * DEPOT_MAGAZINE);
}

static void
exchange(struct depot *shared, unsigned int rounds)
{
	void *block[BLOCK];
	unsigned int i, n;

	for (i = 0; i < rounds; i++) {
		n = depot_get(shared, block, BLOCK);
		if (n > 0)
			(void)depot_put(shared, block, n);
	}
}

/* Take all objects, each at most once. Return how many. */
static unsigned int
drain(struct depot *shared)
{
	unsigned int n = 0;
	void *object;
	ptrdiff_t at;

	memset(in_use, 0, sizeof(in_use));
	for (; depot_get(shared, &object, 1) == 1; n++) {
		at = (char *)object - objects;
		CHECK(at >= 0 && at < (ptrdiff_t)sizeof(objects) && !in_use[at]);
		in_use[at] = true;
	}
	return n;
}

/* A process killed at any instruction blocks nobody, and no object is handed out twice. At most one
 * magazine and the block of a get are lost, and they are not counted. Each kill has a full depot.
 */
static void
kills(void)
{
	struct depot *shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
			MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	unsigned int i, count, lost, kills_with_loss = 0;
	pid_t child;

	CHECK(shared != MAP_FAILED);
	depot_init(&depot, DEPOT_MAGAZINES);
	fill(MAGAZINES, DEPOT_MAGAZINE);
	for (i = 0; i < KILLS; i++) {
		*shared = depot;
		child = fork();
		CHECK(child >= 0);
		while (child == 0)
			exchange(shared, 1);
		exchange(shared, 1000 + i * 7);
		usleep(i % 10 * 100); /* so that the child runs if there is one CPU */
		CHECK(kill(child, SIGKILL) == 0);
		CHECK(waitpid(child, NULL, 0) == child);
		count = depot_count(shared);
		CHECK(drain(shared) == count);
		lost = MAGAZINES * DEPOT_MAGAZINE - count;
		CHECK(lost <= BLOCK + DEPOT_MAGAZINE);
		kills_with_loss += lost > 0;
	}
	CHECK(kills_with_loss > 0);
	munmap(shared, sizeof(*shared));
}

int
main(void)
{
	limits();
	parts();
	threads();
	kills();
	return 0;
}
