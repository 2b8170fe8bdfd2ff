/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef MEMIF_RING_H
#define MEMIF_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "memif/wire.h"

/* A memif ring on the server's side. The client can write to the memory at any time, so nothing
 * there is trusted: each word is read once and checked, and our index is kept in our own memory and
 * only published. In both directions the client moves the head and the server moves the tail.
 * Between them are frames to receive or buffers to fill. This file does not use DPDK.
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
	uint8_t *ring; /* NULL: not set */
	uint16_t size; /* number of descriptors, a power of two */
	uint16_t next; /* our tail, free running; the copy in shared memory is not read */
	bool out;
	uint64_t corrupt; /* bursts with an impossible head */
	uint64_t bad;	  /* descriptors that point outside the memory */
} __attribute__((aligned(64)));

/* The memory of one descriptor. */
struct memif_segment {
	uint8_t *data;
	uint32_t len;
	bool more;
};

#define MEMIF_SEGMENTS 16

/* A received frame. len is 0 if its descriptors are not valid. */
struct memif_frame {
	struct memif_segment segment[MEMIF_SEGMENTS];
	unsigned int n;
	uint64_t len;
};

/* Place the ring where the client asks. Return NULL, or the error text. */
const char *memif_queue_init(struct memif_queue *queue, const struct memif_memory *memory,
		const struct memif_add_ring *where, bool out);
/* Start to use the ring, after all regions are known. Return NULL, or the error text. */
const char *memif_queue_start(struct memif_queue *queue);

/* Return how many descriptors the server owns now. */
uint16_t memif_queue_count(struct memif_queue *queue);
/* Read descriptor i. Return false if it points outside the memory. */
bool memif_queue_segment(struct memif_queue *queue, uint16_t i, struct memif_segment *segment);
/* Read the frame that starts at descriptor i of n. Return its number of descriptors. */
uint16_t memif_queue_frame(
		struct memif_queue *queue, uint16_t i, uint16_t n, struct memif_frame *frame);
/* Set the length and the flag of descriptor i, which was filled. */
void memif_queue_fill(struct memif_queue *queue, uint16_t i, uint32_t len, bool more);
/* Mark n descriptors from i on as empty. */
void memif_queue_clear(struct memif_queue *queue, uint16_t i, uint16_t n);
/* Give the first n descriptors to the client. */
void memif_queue_release(struct memif_queue *queue, uint16_t n);

/* Ask the client to send an event with each burst, or not to. */
void memif_queue_enable_events(struct memif_queue *queue, bool wanted);
/* Return whether the client waits for an event. Call it after memif_queue_release(). */
bool memif_queue_needs_event(const struct memif_queue *queue);

#endif
