/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "capture/producer.h"

static int
create(size_t size)
{
	int fd = memfd_create("spp-capture", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	int error;

	if (fd < 0)
		return -1;
	if (fallocate(fd, 0, 0, (off_t)(CAPTURE_RING_HEADER + size)) == 0 &&
			fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) == 0)
		return fd;
	error = errno;
	close(fd);
	errno = error;
	return -1;
}

int
capture_producer_open(struct capture_producer *p, uint32_t snaplen, size_t size)
{
	int error, fd = create(size);
	struct capture_ring_header *header;

	if (fd < 0)
		return -1;
	header = capture_ring_map(fd, size, PROT_READ | PROT_WRITE);
	if (header == NULL) {
		error = errno;
		close(fd);
		errno = error;
		return -1;
	}
	header->magic = CAPTURE_RING_MAGIC;
	header->snaplen = snaplen;
	memset(p, 0, sizeof(*p));
	p->header = header;
	p->bytes = capture_ring_bytes(header);
	p->size = size;
	p->snaplen = snaplen;
	return fd;
}

void
capture_producer_close(struct capture_producer *p)
{
	capture_ring_unmap(p->header, p->size);
}

void
capture_producer_begin(struct capture_producer *p)
{
	p->position = p->head;
	p->n = 0;
	p->dropped = 0;
	__atomic_store_n(&p->header->busy, 1, __ATOMIC_RELAXED);
	/* The time is taken after others can see the flag, see reader/merge.h. */
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	p->tsc = __builtin_ia32_rdtsc();
}

/* The tail may have any value: another process writes it. It only decides whether a frame
 * overwrites others; a frame of at most the size stays in the ring.
 */
static bool
fits(struct capture_producer *p, uint64_t need)
{
	uint64_t after = p->position + need;

	if (need > p->size)
		return false;
	if (after - p->tail <= p->size)
		return true;
	p->tail = __atomic_load_n(&p->header->tail, __ATOMIC_ACQUIRE);
	return after - p->tail <= p->size;
}

uint8_t *
capture_producer_add(struct capture_producer *p, uint32_t length)
{
	uint32_t captured = length < p->snaplen ? length : p->snaplen;
	uint64_t need = capture_record_size(captured);
	uint8_t *at = NULL;
	struct capture_record record = { p->tsc, length, captured };

	if (p->n >= CAPTURE_BURST)
		return NULL;
	if (fits(p, need)) {
		at = p->bytes + (p->position & (p->size - 1));
		memcpy(at, &record, sizeof(record));
		at += sizeof(record);
		p->position += need;
	} else {
		p->dropped++;
	}
	p->frame[p->n].position = p->position;
	p->frame[p->n].dropped = p->dropped;
	p->n++;
	return at;
}

void
capture_producer_commit(struct capture_producer *p, uint32_t n)
{
	struct capture_ring_header *header = p->header;
	uint32_t counted = n < p->n ? n : p->n;

	if (counted > 0) {
		p->head = p->frame[counted - 1].position;
		p->frames += n;
		p->total_dropped += p->frame[counted - 1].dropped + (n - counted);
	}
	__atomic_store_n(&header->frames, p->frames, __ATOMIC_RELAXED);
	__atomic_store_n(&header->dropped, p->total_dropped, __ATOMIC_RELAXED);
	__atomic_store_n(&header->head, p->head, __ATOMIC_RELEASE);
	__atomic_store_n(&header->busy, 0, __ATOMIC_RELEASE);
}
