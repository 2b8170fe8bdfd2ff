/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CAPTURE_RING_H
#define CAPTURE_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The ring of one captured side of a port, in a memfd: one page with the header, then the bytes.
 * The worker that uses the port writes, and spp_capture reads. Neither trusts the other: each keeps
 * its own index and the size in private memory, and checks the index of the other side.
 *
 * Indices count bytes and never wrap; a byte is at its index modulo the size. Both sides map the
 * bytes twice in a row, so a record is contiguous even where the ring wraps.
 */

#define CAPTURE_RING_MAGIC 0x5350504341503031ULL /* SPPCAP01 */
#define CAPTURE_RING_HEADER 4096
#define CAPTURE_RING_MIN (64U << 10)
#define CAPTURE_RING_MAX (64U << 20)
#define CAPTURE_RING_DEFAULT (4U << 20)
#define CAPTURE_SNAPLEN_MIN 64
#define CAPTURE_SNAPLEN_MAX 262144
#define CAPTURE_RECORD_ALIGN 8
/* x86 fetches pairs of cache lines */
#define CAPTURE_LINE_PAIR 128

struct capture_ring_header {
	uint64_t magic;
	uint32_t snaplen;
	uint32_t ended; /* the port was deleted */
	/* Records of a guest: their times are CLOCK_MONOTONIC in ns, not the TSC, and they come up
	 * to hold_ms late. The producer sets both before it passes the memfd.
	 */
	uint32_t is_monotonic;
	uint32_t hold_ms;

	/* the producer's; frames and dropped are those of the published bursts */
	uint64_t head __attribute__((aligned(CAPTURE_LINE_PAIR)));
	uint64_t frames; /* all frames, with those that were dropped */
	uint64_t dropped;
	/* The worker copies a burst. While it is 0, a record that comes later has a later time. */
	uint32_t busy;

	/* the consumer's */
	uint64_t tail __attribute__((aligned(CAPTURE_LINE_PAIR)));
};

_Static_assert(sizeof(struct capture_ring_header) <= CAPTURE_RING_HEADER, "header page");

/* The bytes follow, padded to CAPTURE_RECORD_ALIGN. */
struct capture_record {
	uint64_t tsc;	   /* or the time, see is_monotonic */
	uint32_t length;   /* of the frame */
	uint32_t captured; /* bytes that follow */
};

static inline uint64_t
capture_record_size(uint64_t captured)
{
	uint64_t align = CAPTURE_RECORD_ALIGN;

	return (sizeof(struct capture_record) + captured + align - 1) & ~(align - 1);
}

/* Map a memfd: the header, and the bytes twice. The second mapping of the bytes follows the first.
 * Return NULL with errno. size: the number of bytes, without the header.
 */
struct capture_ring_header *capture_ring_map(int fd, size_t size, int protection_of_bytes);
void capture_ring_unmap(struct capture_ring_header *header, size_t size);

static inline uint8_t *
capture_ring_bytes(struct capture_ring_header *header)
{
	return (uint8_t *)header + CAPTURE_RING_HEADER;
}

#endif
