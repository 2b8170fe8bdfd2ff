/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MEMIF_RING_H
#define MEMIF_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "memif/wire.h"

/* A memif ring as the server has it, in memory that the client can write at any time. Nothing there
 * is trusted: each word is read once and checked, our own index lies in our own memory and is
 * only published. In both directions the client moves the head and we move the tail: between
 * them are frames to take, or buffers to fill. No DPDK in it.
 */
#define MEMIF_REGIONS 16

struct memif_memory {
	unsigned int n;
	struct {
		uint8_t *base;
		uint64_t size;
	} region[MEMIF_REGIONS];
};

struct memif_queue {
	const struct memif_memory *memory;
	uint8_t *ring; /* NULL: not there */
	uint16_t size; /* descriptors, a power of two */
	uint16_t next; /* the tail, free running: the truth of it */
	bool out;
	uint64_t corrupt; /* bursts that found an impossible head */
	uint64_t bad;	  /* descriptors that point out of the memory */
} __attribute__((aligned(64)));

/* What one descriptor points at. */
struct memif_segment {
	uint8_t *data;
	uint32_t len;
	bool more;
};

#define MEMIF_SEGMENTS 16

/* A frame to take; len 0 when its descriptors are no frame. */
struct memif_frame {
	struct memif_segment segment[MEMIF_SEGMENTS];
	unsigned int n;
	uint64_t len;
};

/* NULL, or what is wrong with where the client says the ring is. */
const char *memif_queue_init(struct memif_queue *queue, const struct memif_memory *memory,
		const struct memif_add_ring *where, bool out);
/* Once all regions are there: from here on it is used. NULL, or what is wrong with it. */
const char *memif_queue_start(struct memif_queue *queue);

/* How many descriptors are ours now. */
uint16_t memif_queue_count(struct memif_queue *queue);
/* Descriptor i of those counted; false when it points nowhere. */
bool memif_queue_segment(struct memif_queue *queue, uint16_t i, struct memif_segment *segment);
/* The frame that begins at descriptor i of n counted; how many descriptors it has. */
uint16_t memif_queue_frame(
		struct memif_queue *queue, uint16_t i, uint16_t n, struct memif_frame *frame);
/* Say of descriptor i what was put into it. */
void memif_queue_fill(struct memif_queue *queue, uint16_t i, uint32_t len, bool more);
/* Say of n descriptors from i on that nothing is in them. */
void memif_queue_clear(struct memif_queue *queue, uint16_t i, uint16_t n);
/* Hand the first n over. */
void memif_queue_release(struct memif_queue *queue, uint16_t n);

/* Whether the client is to send an event with each burst. */
void memif_queue_enable_events(struct memif_queue *queue, bool wanted);
/* Whether the client waits for one; after a release. */
bool memif_queue_needs_event(const struct memif_queue *queue);

#endif
