/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/mman.h>

#include "capture/ring.h"

static size_t
mapped_size(size_t size)
{
	return CAPTURE_RING_HEADER + 2 * size;
}

static bool
map_part(uint8_t *at, size_t size, int protection, int fd, off_t offset)
{
	return mmap(at, size, protection, MAP_SHARED | MAP_FIXED | MAP_POPULATE, fd, offset) !=
	       MAP_FAILED;
}

struct capture_ring_header *
capture_ring_map(int fd, size_t size, int protection_of_bytes)
{
	void *reserved = mmap(NULL, mapped_size(size), PROT_NONE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t *at = reserved;
	int error;

	if (reserved == MAP_FAILED)
		return NULL;
	if (map_part(at, CAPTURE_RING_HEADER, PROT_READ | PROT_WRITE, fd, 0) &&
			map_part(at + CAPTURE_RING_HEADER, size, protection_of_bytes, fd,
					CAPTURE_RING_HEADER) &&
			map_part(at + CAPTURE_RING_HEADER + size, size, protection_of_bytes, fd,
					CAPTURE_RING_HEADER))
		return reserved;
	error = errno;
	munmap(reserved, mapped_size(size));
	errno = error;
	return NULL;
}

void
capture_ring_unmap(struct capture_ring_header *header, size_t size)
{
	munmap(header, mapped_size(size));
}
