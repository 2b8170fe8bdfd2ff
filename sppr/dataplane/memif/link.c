/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "memif/link.h"

#define REGION_MAX (1ULL << 32) /* an offset has 32 bits */

static void
close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

struct memif_link *
memif_link_new(void)
{
	struct memif_link *link = aligned_alloc(64, (sizeof(*link) + 63) / 64 * 64);

	if (link == NULL)
		return NULL;
	memset(link, 0, sizeof(*link));
	link->in_event = link->out_event = link->in_wait = -1;
	return link;
}

void
memif_link_free(struct memif_link *link)
{
	unsigned int i;

	if (link == NULL)
		return;
	for (i = 0; i < link->memory.n; i++)
		munmap(link->memory.region[i].base, link->memory.region[i].size);
	close_fd(link->in_wait);
	close_fd(link->in_event);
	close_fd(link->out_event);
	free(link);
}

/* Check that memory stays accessible while it is mapped: large enough, sealed against shrinking (an
 * access past the end would kill this process), and in tmpfs.
 */
static const char *
check_memory(int fd, uint64_t size)
{
	struct statfs fs;
	struct stat st;
	int seals;

	fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK);
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & F_SEAL_SHRINK) == 0)
		return "Region not sealed against shrinking";
	if (fstatfs(fd, &fs) < 0 || fs.f_type != TMPFS_MAGIC)
		return "Region not in ordinary shared memory";
	if (fstat(fd, &st) < 0 || size == 0 || size > REGION_MAX || (uint64_t)st.st_size < size)
		return "Wrong region size";
	return NULL;
}

const char *
memif_link_region(struct memif_link *link, const struct memif_add_region *region, int fd)
{
	struct memif_memory *m = &link->memory;
	const char *why = "Missing region fd";
	void *base;

	if (region->index != m->n || m->n == MEMIF_REGIONS)
		why = "Invalid region index";
	else if (fd >= 0)
		why = check_memory(fd, region->size);
	if (why == NULL) {
		base = mmap(NULL, region->size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
		if (base == MAP_FAILED) {
			why = "Cannot map the region";
		} else {
			m->region[m->n].base = base;
			m->region[m->n++].size = region->size;
		}
	}
	close_fd(fd);
	return why;
}

static bool
is_eventfd(int fd)
{
	static const char want[] = "anon_inode:[eventfd]";
	char path[64], target[sizeof(want)];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	n = readlink(path, target, sizeof(target));
	return n == (ssize_t)sizeof(want) - 1 && memcmp(target, want, sizeof(want) - 1) == 0;
}

static const char *
wait_on(struct memif_link *link, int fd)
{
	struct epoll_event event = { .events = EPOLLIN | EPOLLET };

	link->in_wait = epoll_create1(EPOLL_CLOEXEC);
	if (link->in_wait < 0 || epoll_ctl(link->in_wait, EPOLL_CTL_ADD, fd, &event) < 0)
		return "Cannot wait on the ring's eventfd";
	return NULL;
}

const char *
memif_link_ring(struct memif_link *link, const struct memif_add_ring *ring, int fd)
{
	bool out = (ring->flags & MEMIF_TO_SERVER) == 0;
	struct memif_queue *queue = out ? &link->out : &link->in;
	const char *why = NULL;

	if (ring->index != 0 || queue->ring != NULL)
		why = "Invalid ring index";
	else if (fd < 0 || !is_eventfd(fd))
		why = "Missing interrupt fd";
	else if (!out)
		why = wait_on(link, fd);
	if (why == NULL)
		why = memif_queue_init(queue, &link->memory, ring, out);
	if (why != NULL) {
		close_fd(fd);
		return why;
	}
	*(out ? &link->out_event : &link->in_event) = fd;
	return NULL;
}

const char *
memif_link_start(struct memif_link *link)
{
	const char *why = memif_queue_start(&link->in);

	return why != NULL ? why : memif_queue_start(&link->out);
}
