/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "capture/producer.h"
#include "capture/reader/consumer.h"
#include "capture/reader/pcapng.h"
#include "capture/request.h"
#include "fuzz/bytes.h"

/* Fuzz the requests of the capture service, a ring that another process fills, a ring whose index
 * another process writes, and the pcapng writer, whose blocks a strict parser checks.
 */

#define BLOCK_SECTION 0x0a0d0d0aU
#define SNAPLEN 512
#define RECORDS_MAX 64

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct capture_producer producer;
static struct capture_consumer consumer;

static uint32_t
word(const uint8_t *at)
{
	uint32_t value;

	memcpy(&value, at, sizeof(value));
	return value;
}

static void
require(int ok)
{
	if (!ok)
		abort();
}

/* Check that the options fill the rest of a block exactly. */
static void
check_options(const uint8_t *at, const uint8_t *end)
{
	uint32_t code = 1, length;

	while (code != 0) {
		require(end - at >= 4);
		code = word(at) & 0xffff;
		length = word(at) >> 16;
		require(code != 0 || length == 0);
		at += 4;
		require((size_t)(end - at) >= (length + 3) / 4 * 4);
		for (; length % 4 != 0; length++)
			require(at[length] == 0);
		at += length;
	}
	require(at == end);
}

static void
check_blocks(const struct pcapng *w)
{
	const uint8_t *at = w->buffer, *end = w->buffer + w->used, *body;
	uint32_t length, fixed;

	while (at < end) {
		require(end - at >= 12);
		length = word(at + 4);
		require(length >= 12 && length % 4 == 0 && length <= (size_t)(end - at));
		require(word(at + length - 4) == length);
		body = at + 8;
		switch (word(at)) {
		case BLOCK_SECTION:
			fixed = 16;
			break;
		case 1:
			fixed = 8;
			break;
		case 5:
			fixed = 12;
			break;
		default:
			require(word(at) == 6 && length >= 32);
			fixed = 20 + (word(body + 12) + 3) / 4 * 4;
			break;
		}
		require(fixed + 12 <= length);
		check_options(body + fixed, at + length - 4);
		at += length;
	}
}

static void
read_ring(struct pcapng *w)
{
	struct capture_record record;
	const uint8_t *bytes;
	unsigned int n;

	for (n = 0; n < RECORDS_MAX; n++) {
		if (capture_consumer_peek(&consumer, &record, &bytes) != CAPTURE_RECORD)
			return;
		require(record.captured <= SNAPLEN && record.captured <= record.length);
		pcapng_put_packet(w,
				&(struct pcapng_packet){ 0, PCAPNG_INBOUND, record.tsc,
						record.length, record.captured },
				bytes);
		capture_consumer_next(&consumer, &record);
		capture_consumer_release(&consumer);
	}
}

static void
fuzz_rings(const uint8_t *data, size_t size)
{
	char name[300];
	struct pcapng w;
	uint64_t index[3];

	if (size < sizeof(index) || !pcapng_open(&w, -1))
		return;
	memcpy(index, data, sizeof(index));
	data += sizeof(index);
	size -= sizeof(index);
	snprintf(name, sizeof(name), "%.*s", (int)size, (const char *)data);
	pcapng_put_section(&w, name);
	pcapng_put_interface(&w, &(struct pcapng_interface){ name, name, SNAPLEN });
	memcpy(producer.bytes, data, size < producer.size ? size : producer.size);
	producer.header->head = index[0];
	consumer.tail = index[1] & ~7ULL;
	consumer.head = consumer.tail;
	read_ring(&w);
	check_blocks(&w);
	pcapng_close(&w);

	producer.header->tail = index[2];
	capture_producer_begin(&producer);
	for (; size > 2; data += 2, size -= 2) {
		uint32_t length = (uint32_t)(data[0] << 8 | data[1]) * 8;
		uint8_t *to = capture_producer_add(&producer, length);

		if (to != NULL)
			memset(to, data[0], length < producer.snaplen ? length : producer.snaplen);
	}
	capture_producer_commit(&producer, (uint32_t)index[0] % CAPTURE_BURST);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct capture_request request;
	int fd;

	count_bytes(size);
	if (producer.header == NULL) {
		fd = capture_producer_open(&producer, SNAPLEN, CAPTURE_RING_MIN);
		require(fd >= 0 && capture_consumer_open(&consumer, fd, SNAPLEN) == NULL);
		close(fd);
	}
	if (capture_request_parse(&request, (const char *)data, size) == NULL)
		require(request.snaplen <= CAPTURE_SNAPLEN_MAX &&
				request.ring_size <= CAPTURE_RING_MAX &&
				(request.ring_size & (request.ring_size - 1)) == 0);
	fuzz_rings(data, size);
	return 0;
}
