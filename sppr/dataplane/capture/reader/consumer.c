/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "capture/reader/consumer.h"

/* A file that can shrink would kill the reader. */
static bool
is_sealed(int fd)
{
	int wanted = F_SEAL_SHRINK | F_SEAL_GROW;
	int seals = fcntl(fd, F_GET_SEALS);

	return seals >= 0 && (seals & wanted) == wanted;
}

const char *
capture_consumer_open(struct capture_consumer *c, int fd, uint32_t snaplen)
{
	struct stat st;
	uint64_t size;

	if (!is_sealed(fd) || fstat(fd, &st) < 0 || st.st_size < CAPTURE_RING_HEADER)
		return "not a ring";
	size = (uint64_t)st.st_size - CAPTURE_RING_HEADER;
	if (size < CAPTURE_RING_MIN || size > CAPTURE_RING_MAX || (size & (size - 1)) != 0)
		return "a ring of a wrong size";
	c->header = capture_ring_map(fd, size, PROT_READ);
	if (c->header == NULL)
		return strerror(errno);
	if (c->header->magic != CAPTURE_RING_MAGIC || c->header->snaplen != snaplen) {
		capture_ring_unmap(c->header, size);
		return "a ring of another build";
	}
	c->bytes = capture_ring_bytes(c->header);
	c->size = size;
	c->snaplen = snaplen;
	c->tail = 0;
	c->head = 0;
	c->is_monotonic = c->header->is_monotonic != 0;
	c->hold_ms = c->header->hold_ms;
	return NULL;
}

void
capture_consumer_close(struct capture_consumer *c)
{
	capture_ring_unmap(c->header, c->size);
}

/* Return the number of bytes to read. It is more than the size if the index is wrong. */
static uint64_t
available(struct capture_consumer *c)
{
	if (c->head == c->tail)
		c->head = __atomic_load_n(&c->header->head, __ATOMIC_ACQUIRE);
	return c->head - c->tail;
}

enum capture_peek
capture_consumer_peek(
		struct capture_consumer *c, struct capture_record *record, const uint8_t **bytes)
{
	uint64_t used = available(c);
	const uint8_t *at = c->bytes + (c->tail & (c->size - 1));

	if (used == 0)
		return CAPTURE_EMPTY;
	if (used > c->size || used < sizeof(*record) || used % CAPTURE_RECORD_ALIGN != 0)
		return CAPTURE_CORRUPT;
	memcpy(record, at, sizeof(*record));
	if (record->captured > c->snaplen || record->captured > record->length ||
			capture_record_size(record->captured) > used)
		return CAPTURE_CORRUPT;
	*bytes = at + sizeof(*record);
	return CAPTURE_RECORD;
}

void
capture_consumer_next(struct capture_consumer *c, const struct capture_record *record)
{
	c->tail += capture_record_size(record->captured);
}

void
capture_consumer_release(struct capture_consumer *c)
{
	__atomic_store_n(&c->header->tail, c->tail, __ATOMIC_RELEASE);
}

bool
capture_consumer_busy(const struct capture_consumer *c)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	return __atomic_load_n(&c->header->busy, __ATOMIC_ACQUIRE) != 0;
}

bool
capture_consumer_ended(const struct capture_consumer *c)
{
	return __atomic_load_n(&c->header->ended, __ATOMIC_ACQUIRE) != 0;
}

uint64_t
capture_consumer_frames(const struct capture_consumer *c)
{
	return __atomic_load_n(&c->header->frames, __ATOMIC_RELAXED);
}

uint64_t
capture_consumer_dropped(const struct capture_consumer *c)
{
	return __atomic_load_n(&c->header->dropped, __ATOMIC_RELAXED);
}
