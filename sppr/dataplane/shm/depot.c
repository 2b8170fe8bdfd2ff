/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "shm/depot.h"

#define INDEX_BITS 16
#define INDEX_MASK ((UINT64_C(1) << INDEX_BITS) - 1)
#define COUNT_TRIES 8

static uint64_t
next_head(uint64_t old, uint32_t first)
{
	return (((old >> INDEX_BITS) + 1) << INDEX_BITS) | first;
}

static void
push(struct depot *depot, struct depot_stack *stack, struct depot_magazine *m)
{
	uint64_t old = __atomic_load_n(&stack->head, __ATOMIC_RELAXED);
	uint32_t index = (uint32_t)(m - depot->magazine) + 1;

	do
		__atomic_store_n(&m->next, (uint32_t)(old & INDEX_MASK), __ATOMIC_RELAXED);
	while (!__atomic_compare_exchange_n(&stack->head, &old, next_head(old, index), false,
			__ATOMIC_RELEASE, __ATOMIC_RELAXED));
}

static struct depot_magazine *
pop(struct depot *depot, struct depot_stack *stack)
{
	uint64_t old = __atomic_load_n(&stack->head, __ATOMIC_ACQUIRE);
	struct depot_magazine *m;

	do {
		if ((old & INDEX_MASK) == 0)
			return NULL;
		m = &depot->magazine[(old & INDEX_MASK) - 1];
	} while (!__atomic_compare_exchange_n(&stack->head, &old,
			next_head(old, __atomic_load_n(&m->next, __ATOMIC_RELAXED)), false,
			__ATOMIC_ACQUIRE, __ATOMIC_ACQUIRE));
	return m;
}

void
depot_init(struct depot *depot, unsigned int magazines)
{
	unsigned int i;

	memset(depot, 0, sizeof(*depot));
	for (i = 0; i < magazines && i < DEPOT_MAGAZINES; i++)
		push(depot, &depot->empty, &depot->magazine[i]);
}

int
depot_put(struct depot *depot, void *const *objects, unsigned int n)
{
	struct depot_magazine *m = pop(depot, &depot->empty);

	if (m == NULL)
		return -1;
	memcpy(m->object, objects, n * sizeof(objects[0]));
	__atomic_store_n(&m->n, n, __ATOMIC_RELAXED);
	push(depot, &depot->full, m);
	return 0;
}

unsigned int
depot_get(struct depot *depot, void **objects, unsigned int n)
{
	struct depot_magazine *m;
	unsigned int take, left, got = 0;

	while (got < n && (m = pop(depot, &depot->full)) != NULL) {
		take = m->n < n - got ? m->n : n - got;
		left = m->n - take;
		memcpy(&objects[got], &m->object[left], take * sizeof(objects[0]));
		__atomic_store_n(&m->n, left, __ATOMIC_RELAXED);
		got += take;
		push(depot, left > 0 ? &depot->full : &depot->empty, m);
	}
	return got;
}

/* Walk the stack: a magazine that was lost with a killed process must not be counted. */
static unsigned int
count_full(const struct depot *depot, uint64_t head)
{
	const struct depot_magazine *m;
	unsigned int i, sum = 0;
	uint64_t index = head & INDEX_MASK;

	for (i = 0; index != 0 && i < DEPOT_MAGAZINES; i++) {
		m = &depot->magazine[index - 1];
		sum += __atomic_load_n(&m->n, __ATOMIC_ACQUIRE);
		index = __atomic_load_n(&m->next, __ATOMIC_ACQUIRE);
	}
	return sum;
}

unsigned int
depot_count(const struct depot *depot)
{
	unsigned int i, sum = 0;
	uint64_t head;

	for (i = 0; i < COUNT_TRIES; i++) {
		head = __atomic_load_n(&depot->full.head, __ATOMIC_ACQUIRE);
		sum = count_full(depot, head);
		if (__atomic_load_n(&depot->full.head, __ATOMIC_RELAXED) == head)
			break;
	}
	return sum;
}
