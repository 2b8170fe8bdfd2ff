/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdlib.h>

#include "base/check.h"
#include "memif/ring.h"

/* The client's memory is a malloc of the exact size, so ASan detects each access outside. */
#define SLOTS 8
#define RING_BYTES (MEMIF_RING_DESC + SLOTS * MEMIF_DESC_SIZE)
#define BYTES (RING_BYTES + SLOTS * 64)

static struct memif_memory memory;
static struct memif_queue queue;
static uint8_t *base;

static const struct memif_add_ring place = { .log2 = 3 };

static void
put16(unsigned int at, unsigned int value)
{
	uint16_t v = (uint16_t)value;

	memcpy(base + at, &v, sizeof(v));
}

static unsigned int
get16(unsigned int at)
{
	uint16_t v;

	memcpy(&v, base + at, sizeof(v));
	return v;
}

static void
describe(unsigned int slot, unsigned int flags, unsigned int region, uint32_t len, uint32_t offset)
{
	unsigned int at = MEMIF_RING_DESC + slot % SLOTS * MEMIF_DESC_SIZE;

	put16(at + MEMIF_DESC_FLAGS, flags);
	put16(at + MEMIF_DESC_REGION, region);
	memcpy(base + at + MEMIF_DESC_LENGTH, &len, sizeof(len));
	memcpy(base + at + MEMIF_DESC_OFFSET, &offset, sizeof(offset));
}

static void
set_up(unsigned int index, bool out)
{
	uint32_t cookie = MEMIF_COOKIE;
	unsigned int i;

	memset(base, 0, BYTES);
	memcpy(base, &cookie, sizeof(cookie));
	put16(MEMIF_RING_HEAD, index);
	put16(MEMIF_RING_TAIL, index);
	for (i = 0; i < SLOTS; i++)
		describe(i, 0, 0, 64, RING_BYTES + i * 64);
	CHECK(memif_queue_init(&queue, &memory, &place, out) == NULL);
	CHECK(memif_queue_start(&queue) == NULL);
}

static void
test_place(void)
{
	struct memif_add_ring where = place;

	where.log2 = 15;
	CHECK(memif_queue_init(&queue, &memory, &where, false) != NULL);
	where.log2 = 255;
	CHECK(memif_queue_init(&queue, &memory, &where, false) != NULL);
	where.log2 = 14;
	CHECK(memif_queue_init(&queue, &memory, &where, false) != NULL);
	where = place;
	where.region = 1;
	CHECK(memif_queue_init(&queue, &memory, &where, false) != NULL);
	where.region = 0;
	where.offset = 2;
	CHECK(memif_queue_init(&queue, &memory, &where, false) != NULL);
	where.offset = BYTES - RING_BYTES;
	CHECK(memif_queue_init(&queue, &memory, &where, false) == NULL);
	CHECK(memif_queue_start(&queue) != NULL); /* no cookie */
	where.offset += 4;
	CHECK(memif_queue_init(&queue, &memory, &where, false) != NULL);
	where.offset = UINT32_MAX - 3;
	CHECK(memif_queue_init(&queue, &memory, &where, false) != NULL);
	memset(&queue, 0, sizeof(queue));
	CHECK(memif_queue_start(&queue) != NULL);
}

/* Frames across the wrap of the 16-bit index and of the ring. */
static void
test_frames(void)
{
	struct memif_frame frame;
	unsigned int head = 65533, i;

	set_up(head, false);
	CHECK(memif_queue_count(&queue) == 0);
	for (i = 0; i < 20; i++) {
		describe(head, MEMIF_MORE, 0, 10, RING_BYTES);
		describe(head + 1, 0, 0, 64, RING_BYTES + 64);
		describe(head + 2, 0, 0, 14, RING_BYTES + 128);
		head += 3;
		put16(MEMIF_RING_HEAD, head);
		CHECK(memif_queue_count(&queue) == 3);
		CHECK(memif_queue_frame(&queue, 0, 3, &frame) == 2);
		CHECK(frame.len == 74 && frame.n == 2);
		CHECK(frame.segment[0].data == base + RING_BYTES && frame.segment[1].len == 64);
		CHECK(memif_queue_frame(&queue, 2, 3, &frame) == 1 && frame.len == 14);
		memif_queue_release(&queue, 3);
		CHECK(get16(MEMIF_RING_TAIL) == (head & 0xffff));
	}
	CHECK(queue.bad == 0 && queue.corrupt == 0);
}

static void
test_bad_descriptors(void)
{
	static const uint32_t wrong[][3] = { { 1, 1, 0 }, { 65535, 1, 0 }, { 0, 1, BYTES },
		{ 0, 2, BYTES - 1 }, { 0, BYTES + 1, 0 }, { 0, UINT32_MAX, 0 },
		{ 0, UINT32_MAX, UINT32_MAX }, { 0, 1, UINT32_MAX } };
	struct memif_frame frame;
	unsigned int i;

	set_up(0, false);
	put16(MEMIF_RING_HEAD, SLOTS);
	for (i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		describe(0, MEMIF_MORE, wrong[i][0], wrong[i][1], wrong[i][2]);
		CHECK(memif_queue_frame(&queue, 0, SLOTS, &frame) == 2 && frame.len == 0);
		CHECK(queue.bad == i + 1);
	}
	describe(0, 0, 0, BYTES, 0); /* the whole memory */
	CHECK(memif_queue_frame(&queue, 0, SLOTS, &frame) == 1 && frame.len == BYTES);
	for (i = 0; i < SLOTS; i++) /* a frame without an end */
		describe(i, 65535, 0, 1, 0);
	CHECK(memif_queue_frame(&queue, 0, SLOTS, &frame) == SLOTS && frame.len == 0);
	CHECK(memif_queue_frame(&queue, 5, SLOTS, &frame) == 3 && frame.len == 0);
}

static void
test_impossible_indexes(void)
{
	set_up(100, false);
	put16(MEMIF_RING_HEAD, 100 + SLOTS + 1);
	CHECK(memif_queue_count(&queue) == 0 && queue.corrupt == 1);
	put16(MEMIF_RING_HEAD, 100 + SLOTS + 3); /* continues from there */
	CHECK(memif_queue_count(&queue) == 2);
	put16(MEMIF_RING_HEAD, 100 + SLOTS + 1);
	put16(MEMIF_RING_TAIL, 7);
	CHECK(memif_queue_count(&queue) == 0 && get16(MEMIF_RING_TAIL) == 100 + SLOTS + 1);
	set_up(100, true);
	put16(MEMIF_RING_HEAD, 99);
	CHECK(memif_queue_count(&queue) == 0 && queue.corrupt == 1 && queue.next == 100);
	put16(MEMIF_RING_HEAD, 100 + SLOTS);
	CHECK(memif_queue_count(&queue) == SLOTS);
}

static void
test_out(void)
{
	struct memif_segment segment;

	set_up(0, true);
	CHECK(memif_queue_needs_event(&queue));
	put16(MEMIF_RING_FLAGS, MEMIF_NO_INTERRUPT);
	CHECK(!memif_queue_needs_event(&queue));
	put16(MEMIF_RING_HEAD, 3);
	CHECK(memif_queue_count(&queue) == 3);
	CHECK(memif_queue_segment(&queue, 1, &segment) && segment.len == 64);
	memif_queue_fill(&queue, 1, 60, true);
	CHECK(memif_queue_segment(&queue, 1, &segment) && segment.len == 60 && segment.more);
	memif_queue_clear(&queue, 0, 2);
	CHECK(memif_queue_segment(&queue, 1, &segment) && segment.len == 0 && !segment.more);
	CHECK(memif_queue_segment(&queue, 2, &segment) && segment.len == 64);
}

/* Whatever the client writes, all frames are inside the memory. */
static void
test_scribbling(void)
{
	struct memif_frame frame;
	unsigned int round, i, j, n;

	srandom(1);
	for (round = 0; round < 20000; round++) {
		set_up((unsigned int)random(), round % 2 == 0);
		for (i = (unsigned int)random() % RING_BYTES; i < RING_BYTES; i++)
			base[i] = (uint8_t)(random() % 3 == 0 ? random() : 0);
		n = memif_queue_count(&queue);
		CHECK(n <= SLOTS);
		for (i = 0; i < n; i += memif_queue_frame(&queue, (uint16_t)i, (uint16_t)n, &frame))
			;
		for (j = 0; n > 0 && frame.len > 0 && j < frame.n; j++)
			memset(frame.segment[j].data, 0xff, frame.segment[j].len);
		memif_queue_clear(&queue, 0, (uint16_t)n);
		memif_queue_release(&queue, (uint16_t)n);
	}
}

int
main(void)
{
	base = malloc(BYTES);
	CHECK(base != NULL);
	memset(base, 0, BYTES);
	memory.n = 1;
	memory.region[0].base = base;
	memory.region[0].size = BYTES;
	test_place();
	test_frames();
	test_bad_descriptors();
	test_impossible_indexes();
	test_out();
	test_scribbling();
	free(base);
	return 0;
}
