/* SPDX-License-Identifier: BSD-3-Clause */
#include <stddef.h>

#include "memif/ring.h"

static uint16_t *
word(const struct memif_queue *q, unsigned int at)
{
	return (uint16_t *)(void *)(q->ring + at);
}

static void
publish(struct memif_queue *q)
{
	__atomic_store_n(word(q, MEMIF_RING_TAIL), q->next, __ATOMIC_RELEASE);
}

const char *
memif_queue_init(struct memif_queue *q, const struct memif_memory *memory,
		const struct memif_add_ring *where, bool out)
{
	uint64_t length = MEMIF_RING_DESC + ((uint64_t)MEMIF_DESC_SIZE << (where->log2 & 15));

	if (where->log2 > MEMIF_LOG2_MAX)
		return "Ring too large";
	if (where->region >= memory->n)
		return "Ring in an unknown region";
	if (where->offset % sizeof(uint32_t) != 0 ||
			where->offset + length > memory->region[where->region].size)
		return "Ring outside of its region";
	*q = (struct memif_queue){
		.memory = memory,
		.ring = memory->region[where->region].base + where->offset,
		.size = (uint16_t)(1U << where->log2),
		.out = out,
	};
	return NULL;
}

const char *
memif_queue_start(struct memif_queue *q)
{
	if (q->ring == NULL)
		return "A ring is missing";
	if (__atomic_load_n((uint32_t *)(void *)q->ring, __ATOMIC_RELAXED) != MEMIF_COOKIE)
		return "Wrong cookie";
	/* the client created the ring, and its tail is where it starts */
	q->next = __atomic_load_n(word(q, MEMIF_RING_TAIL), __ATOMIC_ACQUIRE);
	if (!q->out)
		memif_queue_enable_events(q, false);
	return NULL;
}

uint16_t
memif_queue_count(struct memif_queue *q)
{
	uint16_t head = __atomic_load_n(word(q, MEMIF_RING_HEAD), __ATOMIC_ACQUIRE);
	uint16_t n = (uint16_t)(head - q->next);

	if (n > q->size) {
		q->corrupt++;
		/* the index of the producer is right: drop the frames before it */
		if (!q->out)
			q->next = head;
		publish(q);
		return 0;
	}
	/* the client overwrote our index, and would wait forever */
	if (n == 0 && __atomic_load_n(word(q, MEMIF_RING_TAIL), __ATOMIC_RELAXED) != q->next)
		publish(q);
	return n;
}

static uint8_t *
descriptor(const struct memif_queue *q, uint16_t i)
{
	return q->ring + MEMIF_RING_DESC +
	       (size_t)((uint16_t)(q->next + i) & (q->size - 1)) * MEMIF_DESC_SIZE;
}

static uint16_t
read16(const uint8_t *at)
{
	return __atomic_load_n((const uint16_t *)(const void *)at, __ATOMIC_RELAXED);
}

static uint32_t
read32(const uint8_t *at)
{
	return __atomic_load_n((const uint32_t *)(const void *)at, __ATOMIC_RELAXED);
}

bool
memif_queue_segment(struct memif_queue *q, uint16_t i, struct memif_segment *segment)
{
	const uint8_t *d = descriptor(q, i);
	uint16_t region = read16(d + MEMIF_DESC_REGION);
	uint32_t offset = read32(d + MEMIF_DESC_OFFSET);

	segment->more = (read16(d + MEMIF_DESC_FLAGS) & MEMIF_MORE) != 0;
	segment->len = read32(d + MEMIF_DESC_LENGTH);
	if (region >= q->memory->n ||
			(uint64_t)offset + segment->len > q->memory->region[region].size) {
		q->bad++;
		return false;
	}
	segment->data = q->memory->region[region].base + offset;
	return true;
}

uint16_t
memif_queue_frame(struct memif_queue *q, uint16_t i, uint16_t n, struct memif_frame *frame)
{
	struct memif_segment segment = { .more = true };
	uint16_t used = 0;
	bool good = true;

	frame->n = 0;
	frame->len = 0;
	while (segment.more && i + used < n) {
		good &= memif_queue_segment(q, (uint16_t)(i + used), &segment) &&
			frame->n < MEMIF_SEGMENTS;
		used++;
		if (!good)
			continue;
		frame->segment[frame->n++] = segment;
		frame->len += segment.len;
	}
	/* the last descriptor of a frame has no MEMIF_MORE */
	if (!good || segment.more)
		frame->len = 0;
	return used;
}

void
memif_queue_fill(struct memif_queue *q, uint16_t i, uint32_t len, bool more)
{
	uint8_t *d = descriptor(q, i);

	__atomic_store_n((uint32_t *)(void *)(d + MEMIF_DESC_LENGTH), len, __ATOMIC_RELAXED);
	__atomic_store_n((uint16_t *)(void *)(d + MEMIF_DESC_FLAGS), more ? MEMIF_MORE : 0,
			__ATOMIC_RELAXED);
}

void
memif_queue_clear(struct memif_queue *q, uint16_t i, uint16_t n)
{
	uint16_t end = (uint16_t)(i + n);

	for (; i != end; i++)
		memif_queue_fill(q, i, 0, false);
}

void
memif_queue_release(struct memif_queue *q, uint16_t n)
{
	q->next = (uint16_t)(q->next + n);
	publish(q);
}

void
memif_queue_enable_events(struct memif_queue *q, bool wanted)
{
	__atomic_store_n(word(q, MEMIF_RING_FLAGS), wanted ? 0 : MEMIF_NO_INTERRUPT,
			__ATOMIC_RELEASE);
}

bool
memif_queue_needs_event(const struct memif_queue *q)
{
	/* store our tail before loading the flags */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return (__atomic_load_n(word(q, MEMIF_RING_FLAGS), __ATOMIC_RELAXED) &
			       MEMIF_NO_INTERRUPT) == 0;
}
