/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>
#include <string.h>

#include "impair/queue.h"

int
queue_open(struct queue *q, uint32_t capacity)
{
	size_t size = capacity * sizeof(q->fifo[0]);

	memset(q, 0, sizeof(*q));
	q->fifo = malloc(size);
	q->heap = malloc(size);
	if (q->fifo == NULL || q->heap == NULL) {
		queue_close(q);
		return -1;
	}
	/* the worker must not be the first one that touches the pages */
	memset(q->fifo, 0, size);
	memset(q->heap, 0, size);
	q->capacity = capacity;
	return 0;
}

void
queue_close(struct queue *q)
{
	free(q->fifo);
	free(q->heap);
	memset(q, 0, sizeof(*q));
}

static inline bool
is_before(const struct held_frame *a, const struct held_frame *b)
{
	return a->due < b->due || (a->due == b->due && a->sequence < b->sequence);
}

/* Return the position of frame i of the FIFO. */
static inline uint32_t
at(const struct queue *q, uint32_t i)
{
	uint32_t position = q->head + i;

	return position < q->capacity ? position : position - q->capacity;
}

static void
heap_push(struct queue *q, const struct held_frame *frame)
{
	uint32_t i, parent;

	for (i = q->nheap++; i > 0; i = parent) {
		parent = (i - 1) / 2;
		if (is_before(&q->heap[parent], frame))
			break;
		q->heap[i] = q->heap[parent];
	}
	q->heap[i] = *frame;
}

static void
heap_pop(struct queue *q)
{
	struct held_frame last = q->heap[--q->nheap];
	uint32_t i, child;

	for (i = 0; (child = 2 * i + 1) < q->nheap; i = child) {
		if (child + 1 < q->nheap && is_before(&q->heap[child + 1], &q->heap[child]))
			child++;
		if (is_before(&last, &q->heap[child]))
			break;
		q->heap[i] = q->heap[child];
	}
	q->heap[i] = last;
}

void
queue_push(struct queue *q, uint64_t due, struct rte_mbuf *m)
{
	struct held_frame frame = { due, q->sequence++, m };

	if (q->nfifo == 0 || q->fifo[at(q, q->nfifo - 1)].due <= due)
		q->fifo[at(q, q->nfifo++)] = frame;
	else
		heap_push(q, &frame);
}

const struct held_frame *
queue_first(const struct queue *q)
{
	const struct held_frame *fifo = q->nfifo > 0 ? &q->fifo[q->head] : NULL;

	if (q->nheap > 0 && (fifo == NULL || is_before(&q->heap[0], fifo)))
		return &q->heap[0];
	return fifo;
}

struct rte_mbuf *
queue_pop(struct queue *q, uint64_t now)
{
	const struct held_frame *first = queue_first(q);
	struct rte_mbuf *m;

	if (first == NULL || first->due > now)
		return NULL;
	m = first->m;
	if (q->nheap > 0 && first == &q->heap[0]) {
		heap_pop(q);
	} else {
		q->head = at(q, 1);
		q->nfifo--;
	}
	return m;
}

void
queue_move(struct queue *to, struct queue *from)
{
	uint32_t i;

	for (i = 0; i < from->nfifo; i++)
		to->fifo[i] = from->fifo[at(from, i)];
	memcpy(to->heap, from->heap, from->nheap * sizeof(to->heap[0]));
	to->head = 0;
	to->nfifo = from->nfifo;
	to->nheap = from->nheap;
	to->sequence = from->sequence;
	from->nfifo = 0;
	from->nheap = 0;
}
