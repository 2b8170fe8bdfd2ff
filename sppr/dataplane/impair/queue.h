/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef IMPAIR_QUEUE_H
#define IMPAIR_QUEUE_H

#include <stdbool.h>
#include <stdint.h>

struct rte_mbuf;

/* Frames in the order of the times when they are due; equal times in the order of arrival. A frame
 * that is due after all others is appended to a FIFO, as almost all are without jitter. The others
 * go to a binary heap. One thread uses a queue.
 */
struct held_frame {
	uint64_t due;
	uint64_t sequence;
	struct rte_mbuf *m;
};

struct queue {
	struct held_frame *fifo; /* a ring buffer */
	struct held_frame *heap;
	uint32_t capacity; /* of each of the two, and of both together */
	uint32_t head, nfifo, nheap;
	uint64_t sequence;
};

/* Allocate all memory. Return -1 without memory. */
int queue_open(struct queue *q, uint32_t capacity);

/* Free the memory of a queue without frames, or of one that was never opened. */
void queue_close(struct queue *q);

static inline uint32_t
queue_count(const struct queue *q)
{
	return q->nfifo + q->nheap;
}

/* Add a frame. There must be room. */
void queue_push(struct queue *q, uint64_t due, struct rte_mbuf *m);

/* Return the next frame, or NULL if there is none. */
const struct held_frame *queue_first(const struct queue *q);

/* Remove the next frame, and return it. Return NULL if there is none, or if it is due after now. */
struct rte_mbuf *queue_pop(struct queue *q, uint64_t now);

/* Move all frames to a queue that is empty and large enough. */
void queue_move(struct queue *to, struct queue *from);

#endif
