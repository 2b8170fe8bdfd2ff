/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SHM_REGION_H
#define SHM_REGION_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Two packet rings in memory that the host shares with one guest (docs/guest.md). Both sides are
 * built from this file, without DPDK.
 *
 * Neither side trusts the other. A side keeps its own index in its own memory and only publishes
 * it. The peer's index is read once per burst and checked. A length is read once and checked. A
 * frame is copied before it is examined. No pointer is ever read from the region.
 */
#define REGION_SIZE (4U << 20)		   /* ivshmem requires a power of two */
#define REGION_MAGIC 0x474e495252505053ULL /* "SPPRRING" */
#define REGION_VERSION 1
#define REGION_SLOTS 512
#define REGION_SLOT_SIZE 2048
#define REGION_FRAME_MIN 14
#define REGION_FRAME_MAX (REGION_SLOT_SIZE - 4)

#define REGION_INDEXES 4096	   /* one page of indexes for each ring, from here */
#define REGION_SLOTS_AT (1U << 20) /* 1 MiB of slots for each ring, from here */
#define REGION_CONS_AT 128 /* offset in the page, in another cache line than the producer's */

/* The ring that a side fills: 0 for the host, 1 for the guest. */
enum region_side {
	REGION_HOST,
	REGION_GUEST,
};

/* The first side writes the header. It is for people and later versions; nothing is computed from
 * it.
 */
struct region_header {
	uint64_t magic;
	uint32_t version;
	uint32_t slots;
	uint32_t slot_size;
};

/* One direction of a region, as seen by one side. */
struct region_ring {
	uint32_t *mine;	  /* our published index */
	uint32_t *theirs; /* the peer's index */
	uint8_t *slots;
	uint32_t next;	  /* our index, free running; this copy counts */
	uint64_t corrupt; /* bursts with an impossible index of the peer */
	uint64_t bad;	  /* frames with an impossible length */
};

struct region {
	struct region_ring in, out;
};

/* Return 0, or -1 if the header has another layout. */
int region_attach(struct region *region, void *base, enum region_side side);

/* Return the number of waiting frames, at most max. */
uint32_t region_in_count(struct region_ring *in, uint32_t max);
/* Give the first n slots back to the peer. */
void region_in_release(struct region_ring *in, uint32_t n);

/* Return the number of free slots, at most max. */
uint32_t region_out_room(struct region_ring *out, uint32_t max);
/* Publish the first n frames. */
void region_out_publish(struct region_ring *out, uint32_t n);

static inline uint8_t *
region_slot(const struct region_ring *ring, uint32_t i)
{
	return ring->slots + (size_t)((ring->next + i) % REGION_SLOTS) * REGION_SLOT_SIZE;
}

/* Copy waiting frame i. Return its length, or 0 if the length is impossible. */
static inline uint32_t
region_in_copy(struct region_ring *in, uint32_t i, void *to, uint32_t size)
{
	uint8_t *slot = region_slot(in, i);
	uint32_t len = __atomic_load_n((uint32_t *)(void *)slot, __ATOMIC_RELAXED);

	if (len < REGION_FRAME_MIN || len > REGION_FRAME_MAX || len > size) {
		in->bad++;
		return 0;
	}
	memcpy(to, slot + 4, len);
	return len;
}

/* Return where the data of frame i goes, at most REGION_FRAME_MAX bytes. */
static inline uint8_t *
region_out_frame(const struct region_ring *out, uint32_t i, uint32_t len)
{
	uint8_t *slot = region_slot(out, i);

	__atomic_store_n((uint32_t *)(void *)slot, len, __ATOMIC_RELAXED);
	return slot + 4;
}

#endif
