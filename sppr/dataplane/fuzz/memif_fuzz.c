/* SPDX-License-Identifier: BSD-3-Clause */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/bytes.h"
#include "memif/peer.h"

/* Fuzz the messages and the memory of a memif client. One byte selects the fd, then follows a
 * message of 128 bytes. With 255 follow an offset and 32 bytes for the shared memory instead. After
 * each, the rings are used as a port uses them.
 */
#define REGION 65536

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static int memory_fd;
static uint8_t *memory;
static struct memif_link *used;
static struct memif_endpoint endpoint;

static void
on_connected(struct memif_endpoint *e, struct memif_link *link)
{
	(void)e;
	used = link;
}

static void
on_disconnected(struct memif_endpoint *e)
{
	(void)e;
	used = NULL;
}

int
LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	memory_fd = memfd_create("memif", MFD_ALLOW_SEALING | MFD_CLOEXEC);
	if (memory_fd < 0 || ftruncate(memory_fd, REGION) < 0 ||
			fcntl(memory_fd, F_ADD_SEALS, F_SEAL_SHRINK) < 0)
		abort();
	memory = mmap(NULL, REGION, PROT_READ | PROT_WRITE, MAP_SHARED, memory_fd, 0);
	if (memory == MAP_FAILED)
		abort();
	endpoint = (struct memif_endpoint){ .connected = on_connected,
		.disconnected = on_disconnected };
	return 0;
}

static int
some_fd(uint8_t kind)
{
	switch (kind % 4) {
	case 0:
		return dup(memory_fd);
	case 1:
		return eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	case 2:
		return open("/dev/null", O_RDWR | O_CLOEXEC);
	default:
		return -1;
	}
}

static void
use(struct memif_queue *queue)
{
	uint16_t n = memif_queue_count(queue), i;
	struct memif_frame frame;
	unsigned int j;

	for (i = 0; i < n; i = (uint16_t)(i + memif_queue_frame(queue, i, n, &frame)))
		;
	for (j = 0; n > 0 && frame.len > 0 && j < frame.n; j++)
		memset(frame.segment[j].data, 0, frame.segment[j].len);
	memif_queue_clear(queue, 0, n);
	memif_queue_release(queue, n);
	memif_queue_needs_event(queue);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct memif_peer peer = { .link = NULL };
	struct memif_message in, reply;
	const char *why = NULL;
	uint16_t at;

	count_bytes(size);
	memset(memory, 0, REGION);
	while (why == NULL && size > sizeof(in)) {
		if (data[0] == 255) {
			memcpy(&at, data + 1, sizeof(at));
			memcpy(memory + at % (REGION - 32), data + 3, 32);
			data += 35;
			size -= 35;
		} else {
			memcpy(&in, data + 1, sizeof(in));
			why = memif_peer_handle(&peer, &endpoint, &in, some_fd(data[0]), &reply);
			data += 1 + sizeof(in);
			size -= 1 + sizeof(in);
		}
		if (used != NULL) {
			use(&used->in);
			use(&used->out);
		}
	}
	memif_peer_close(&peer);
	return 0;
}
