/* SPDX-License-Identifier: BSD-3-Clause */
#include "base/check.h"
#include "impair/queue.h"
#include "impair/random.h"

#define CAPACITY 5000

static struct random rnd;

/* A frame is its number here. */
static struct rte_mbuf *
frame(uintptr_t number)
{
	return (struct rte_mbuf *)(number + 1);
}

static void
test_order_of_equal_times(void)
{
	static const uint64_t due[] = { 5, 9, 5, 9, 1, 5, 9, 1 };
	static const uintptr_t order[] = { 4, 7, 0, 2, 5, 1, 3, 6 };
	struct queue q;
	size_t i;

	CHECK(queue_open(&q, 8) == 0);
	for (i = 0; i < 8; i++)
		queue_push(&q, due[i], frame(i));
	CHECK(queue_first(&q)->due == 1 && queue_pop(&q, 0) == NULL);
	for (i = 0; i < 8; i++)
		CHECK(queue_pop(&q, 9) == frame(order[i]));
	CHECK(queue_pop(&q, UINT64_MAX) == NULL && queue_first(&q) == NULL);
	queue_close(&q);
}

static uint64_t due_of[20 * CAPACITY];

/* Pop frames up to a time. Check that they come in order. */
static unsigned int
pop_all(struct queue *q, uint64_t now)
{
	uint64_t last = 0, last_number = 0, number, due;
	struct rte_mbuf *m;
	unsigned int n = 0;

	for (; (m = queue_pop(q, now)) != NULL; n++) {
		number = (uintptr_t)m - 1;
		due = due_of[number];
		CHECK(due <= now && (due > last || (due == last && number >= last_number)));
		last = due;
		last_number = number;
	}
	CHECK(queue_first(q) == NULL || queue_first(q)->due > now);
	return n;
}

/* Fill the queue again and again, and take a part out. jitter 0: only the FIFO is used. */
static void
test_random_times(uint64_t jitter)
{
	uint64_t now = 0, pushed = 0, popped = 0;
	struct queue q, larger;
	unsigned int round;

	CHECK(queue_open(&q, CAPACITY) == 0);
	for (round = 0; round < 19; round++) {
		for (; queue_count(&q) < CAPACITY && pushed < 20 * CAPACITY; pushed++) {
			due_of[pushed] = now + 1000 + (jitter > 0 ? random_below(&rnd, jitter) : 0);
			queue_push(&q, due_of[pushed], frame(pushed));
			now += pushed % 3 == 0;
		}
		popped += pop_all(&q, now + 500 + random_below(&rnd, 2000));
		CHECK(queue_count(&q) == pushed - popped);
		now += 1500;
	}
	CHECK(queue_open(&larger, CAPACITY + 1) == 0);
	queue_move(&larger, &q);
	CHECK(queue_count(&q) == 0 && queue_count(&larger) == pushed - popped);
	popped += pop_all(&larger, UINT64_MAX);
	CHECK(pushed == popped && pushed > 3 * CAPACITY);
	queue_close(&q);
	queue_close(&larger);
}

int
main(void)
{
	random_start(&rnd, 1, RANDOM_JITTER);
	test_order_of_equal_times();
	test_random_times(0);
	test_random_times(50);
	test_random_times(5000);
	return 0;
}
