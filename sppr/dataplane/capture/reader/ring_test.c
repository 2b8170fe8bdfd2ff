/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/check.h"
#include "capture/producer.h"
#include "capture/reader/consumer.h"
#include "capture/reader/merge.h"

#define SNAPLEN 1000

static struct capture_producer producer;
static struct capture_consumer consumer;

static void
start(void)
{
	int fd = capture_producer_open(&producer, SNAPLEN, CAPTURE_RING_MIN);

	CHECK(fd >= 0);
	CHECK(ftruncate(fd, 0) < 0);
	CHECK(capture_consumer_open(&consumer, fd, SNAPLEN) == NULL);
	close(fd);
}

static void
finish(void)
{
	capture_consumer_close(&consumer);
	capture_producer_close(&producer);
}

/* Write one frame in a burst of its own. Return whether it fitted. */
static bool
write_frame(uint32_t length, uint8_t fill)
{
	uint8_t *to;

	capture_producer_begin(&producer);
	to = capture_producer_add(&producer, length);
	if (to != NULL)
		memset(to, fill, length < SNAPLEN ? length : SNAPLEN);
	capture_producer_commit(&producer, 1);
	return to != NULL;
}

static void
expect_frame(uint32_t length, uint8_t fill)
{
	struct capture_record record;
	const uint8_t *bytes;
	uint32_t i;

	CHECK(capture_consumer_peek(&consumer, &record, &bytes) == CAPTURE_RECORD);
	CHECK(record.length == length);
	CHECK(record.captured == (length < SNAPLEN ? length : SNAPLEN));
	for (i = 0; i < record.captured; i++)
		CHECK(bytes[i] == fill);
	capture_consumer_next(&consumer, &record);
	capture_consumer_release(&consumer);
}

static enum capture_peek
peek(void)
{
	struct capture_record record;
	const uint8_t *bytes;

	return capture_consumer_peek(&consumer, &record, &bytes);
}

/* Records of many sizes wrap at every place. */
static void
test_wrap(void)
{
	uint32_t i;

	start();
	CHECK(peek() == CAPTURE_EMPTY);
	for (i = 0; i < 20000; i++) {
		CHECK(write_frame(1 + i % 1200, (uint8_t)i));
		expect_frame(1 + i % 1200, (uint8_t)i);
	}
	CHECK(peek() == CAPTURE_EMPTY);
	CHECK(capture_consumer_frames(&consumer) == 20000);
	CHECK(capture_consumer_dropped(&consumer) == 0);
	finish();
}

static void
test_full_ring_drops(void)
{
	uint32_t i, n = CAPTURE_RING_MIN / capture_record_size(112);

	start();
	CHECK(capture_record_size(112) == 128);
	for (i = 0; i < n; i++)
		CHECK(write_frame(112, (uint8_t)i));
	for (i = 0; i < 10; i++)
		CHECK(!write_frame(112, 0xff));
	CHECK(capture_consumer_frames(&consumer) == n + 10);
	CHECK(capture_consumer_dropped(&consumer) == 10);
	expect_frame(112, 0);
	CHECK(write_frame(112, 7));
	for (i = 1; i < n; i++)
		expect_frame(112, (uint8_t)i);
	expect_frame(112, 7);
	CHECK(peek() == CAPTURE_EMPTY);
	finish();
}

/* The port took 2 of 5 frames: the others are neither frames nor dropped. */
static void
test_commit_of_a_part(void)
{
	uint32_t i;

	start();
	capture_producer_begin(&producer);
	CHECK(capture_consumer_busy(&consumer));
	for (i = 0; i < 5; i++)
		memset(capture_producer_add(&producer, 60 + i), (int)i, 60 + i);
	CHECK(peek() == CAPTURE_EMPTY);
	capture_producer_commit(&producer, 2);
	CHECK(!capture_consumer_busy(&consumer));
	expect_frame(60, 0);
	expect_frame(61, 1);
	CHECK(peek() == CAPTURE_EMPTY);
	CHECK(write_frame(99, 9));
	expect_frame(99, 9);
	capture_producer_begin(&producer);
	CHECK(capture_producer_add(&producer, 60) != NULL);
	capture_producer_commit(&producer, 0);
	CHECK(peek() == CAPTURE_EMPTY);
	CHECK(capture_consumer_frames(&consumer) == 3);
	finish();
}

static void
test_large_burst(void)
{
	uint32_t i;

	start();
	capture_producer_begin(&producer);
	for (i = 0; i < CAPTURE_BURST + 5; i++)
		CHECK((capture_producer_add(&producer, 64) != NULL) == (i < CAPTURE_BURST));
	capture_producer_commit(&producer, CAPTURE_BURST + 5);
	CHECK(capture_consumer_frames(&consumer) == CAPTURE_BURST + 5);
	CHECK(capture_consumer_dropped(&consumer) == 5);
	finish();
}

/* Whatever the consumer's index is, frames stay in the ring: ASan and the guard page would see it.
 */
static void
test_hostile_consumer(void)
{
	static const uint64_t tails[] = { UINT64_MAX, 1ULL << 63, 1, CAPTURE_RING_MIN + 1, 12345678,
		UINT64_MAX - CAPTURE_RING_MIN };
	uint64_t *tail;
	size_t i, k;

	start();
	tail = &producer.header->tail;
	for (k = 0; k < 100000; k++) {
		i = k % (sizeof(tails) / sizeof(tails[0]) + 2);
		*tail = i < 6 ? tails[i] : i == 6 ? producer.head + 100 : producer.head - 8;
		write_frame((uint32_t)k % 3000, 1);
		CHECK(producer.head - consumer.tail < UINT64_MAX / 2);
	}
	finish();
	/* a ring that is smaller than a frame: the index must not make room for it */
	CHECK(capture_producer_open(&producer, CAPTURE_SNAPLEN_MAX, CAPTURE_RING_MIN) >= 0);
	producer.header->tail = 150000;
	CHECK(!write_frame(200000, 1));
	CHECK(capture_producer_add(&producer, 200000) == NULL);
	capture_producer_close(&producer);
}

static void
test_hostile_producer(void)
{
	static const uint64_t heads[] = { UINT64_MAX, CAPTURE_RING_MIN + 8, 8, 20, 1ULL << 40 };
	struct capture_record *first, good = { 1, 60, 60 };
	size_t i;

	start();
	for (i = 0; i < sizeof(heads) / sizeof(heads[0]); i++) {
		producer.header->head = heads[i];
		consumer.head = consumer.tail;
		CHECK(peek() == CAPTURE_CORRUPT);
	}
	first = (struct capture_record *)producer.bytes;
	producer.header->head = 80;
	consumer.head = consumer.tail;
	*first = good;
	CHECK(peek() == CAPTURE_RECORD);
	first->captured = 61; /* more than the frame */
	CHECK(peek() == CAPTURE_CORRUPT);
	first->captured = first->length = 72; /* more than the head says */
	CHECK(peek() == CAPTURE_CORRUPT);
	first->captured = first->length = UINT32_MAX;
	CHECK(peek() == CAPTURE_CORRUPT);
	finish();
}

static void
test_other_files_are_refused(void)
{
	int fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	CHECK(ftruncate(fd, CAPTURE_RING_HEADER + CAPTURE_RING_MIN) == 0);
	CHECK_STR(capture_consumer_open(&consumer, fd, SNAPLEN), "not a ring");
	CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0);
	CHECK_STR(capture_consumer_open(&consumer, fd, SNAPLEN), "a ring of another build");
	close(fd);
	fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	CHECK(ftruncate(fd, CAPTURE_RING_HEADER + CAPTURE_RING_MIN + 8) == 0);
	CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW) == 0);
	CHECK_STR(capture_consumer_open(&consumer, fd, SNAPLEN), "a ring of a wrong size");
	close(fd);
}

/* Two rings: records with given times. */
static void
test_merge(void)
{
	static const uint64_t times[2][3] = { { 1010, 1030, 1050 }, { 1020, 1025, 1060 } };
	static struct capture_producer p[2];
	struct merge_ring ring[2] = { { .open = true }, { .open = true } };
	struct merge m = { .ring = ring, .n = 2, .hold = 100 };
	struct merge_record next;
	unsigned int i, k;
	int fd;

	for (i = 0; i < 2; i++) {
		fd = capture_producer_open(&p[i], SNAPLEN, CAPTURE_RING_MIN);
		CHECK(capture_consumer_open(&ring[i].ring, fd, SNAPLEN) == NULL);
		close(fd);
		for (k = 0; k < 3; k++) {
			capture_producer_begin(&p[i]);
			p[i].tsc = times[i][k];
			capture_producer_add(&p[i], 60);
			capture_producer_commit(&p[i], 1);
		}
	}
	merge_start(&m, 1055);
	for (k = 0; k < 5; k++) {
		static const uint64_t order[] = { 1010, 1020, 1025, 1030, 1050 };

		CHECK(merge_next(&m, &next) && next.record.tsc == order[k]);
	}
	CHECK(!merge_next(&m, &next)); /* ring 0 was empty at 1055, and may get 1056 */
	capture_producer_begin(&p[0]); /* its worker is slow */
	merge_start(&m, 1159);
	CHECK(!merge_next(&m, &next));
	merge_start(&m, 1161);
	CHECK(merge_next(&m, &next) && next.record.tsc == 1060); /* the hold time is over */
	__atomic_store_n(&p[0].header->ended, 1, __ATOMIC_RELEASE);
	ring[1].closed_by_peer = true;
	CHECK(!merge_next(&m, &next));
	merge_start(&m, 1170);
	CHECK(!merge_next(&m, &next) && !ring[0].open && !ring[1].open);
}

/* A ring of a guest has times in ns. 2 ticks are 1 ns here, and tick 1000 is at 5000 ns. */
static void
test_merge_of_two_clocks(void)
{
	static const struct tsc_clock clock = {
		.last = { 1000, 5000 },
		.ns_per_tsc = ((unsigned __int128)1 << TSC_CLOCK_SHIFT) / 2,
	};
	static const uint64_t times[2] = { 1010, 5003 }; /* the second one is tick 1006 */
	static struct capture_producer p[2];
	struct merge_ring ring[2] = { { .open = true }, { .open = true } };
	struct merge m = { .clock = &clock, .ring = ring, .n = 2, .hold = 100 };
	struct merge_record next;
	unsigned int i;
	int fd;

	for (i = 0; i < 2; i++) {
		fd = capture_producer_open(&p[i], SNAPLEN, CAPTURE_RING_MIN);
		p[i].header->is_monotonic = i;
		p[i].header->hold_ms = 7;
		CHECK(capture_consumer_open(&ring[i].ring, fd, SNAPLEN) == NULL);
		CHECK(ring[i].ring.hold_ms == 7);
		close(fd);
		capture_producer_begin(&p[i]);
		p[i].tsc = times[i];
		capture_producer_add(&p[i], 60);
		capture_producer_commit(&p[i], 1);
	}
	merge_start(&m, 1020);
	CHECK(merge_next(&m, &next) && next.ring == 1 && next.record.tsc == 1006);
	CHECK(merge_next(&m, &next) && next.ring == 0 && next.record.tsc == 1010);
}

int
main(void)
{
	test_merge_of_two_clocks();
	test_wrap();
	test_full_ring_drops();
	test_commit_of_a_part();
	test_large_burst();
	test_hostile_consumer();
	test_hostile_producer();
	test_other_files_are_refused();
	test_merge();
	return 0;
}
