/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SHM_REGION_H
#define SHM_REGION_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

/* Two packet rings in memory that the host and one guest share (docs/guest.md). No DPDK in it: both
 * sides are built from this file.
 *
 * Neither side trusts the other. What a side believes of itself lies in its own memory and is only
 * published; the peer's index is read once a burst and checked; a length is read once and checked;
 * a frame is copied out before anybody looks at it; no pointer ever comes from the region.
 */
#define REGION_SIZE (4U << 20)		   /* ivshmem wants a power of two */
#define REGION_MAGIC 0x474e495252505053ULL /* "SPPRRING" */
#define REGION_VERSION 1
#define REGION_SLOTS 512
#define REGION_SLOT_SIZE 2048
#define REGION_FRAME_MIN 14
#define REGION_FRAME_MAX (REGION_SLOT_SIZE - 4)

#define REGION_INDEXES 4096	   /* one page of indexes a ring, from here */
#define REGION_SLOTS_AT (1U << 20) /* 1 MiB of slots a ring, from here */
#define REGION_CONS_AT 128	   /* in the page of indexes, away from the producer's line */

/* Which ring a side fills: the host number 0, the guest number 1. */
enum region_side {
	REGION_HOST,
	REGION_GUEST,
};

/* Written by whoever is first, for people and for versions to come; nothing is computed from it. */
struct region_header {
	uint64_t magic;
	uint32_t version;
	uint32_t slots;
	uint32_t slot_size;
};

/* One direction as one side has it. */
struct region_ring {
	uint32_t *mine;	  /* where our index is published */
	uint32_t *theirs; /* the peer's */
	uint8_t *slots;
	uint32_t next;	  /* our index, free running: the truth of it */
	uint64_t corrupt; /* bursts that found the peer's index impossible */
	uint64_t bad;	  /* frames of an impossible length */
};

struct region {
	struct region_ring in, out;
};

/* 0, or -1 when the header speaks of another layout. */
int region_attach(struct region *region, void *base, enum region_side side);

/* How many frames can be taken now, at most max. */
uint32_t region_in_count(struct region_ring *in, uint32_t max);
/* Give the first n back to the peer. */
void region_in_release(struct region_ring *in, uint32_t n);

/* How many frames there is room for, at most max. */
uint32_t region_out_room(struct region_ring *out, uint32_t max);
/* Hand the first n over. */
void region_out_publish(struct region_ring *out, uint32_t n);

static inline uint8_t *
region_slot(const struct region_ring *ring, uint32_t i)
{
	return ring->slots + (size_t)((ring->next + i) % REGION_SLOTS) * REGION_SLOT_SIZE;
}

/* Copy frame i of those counted to a buffer of size; its length, or 0 when that is impossible. */
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

/* Where frame i of those there is room for goes; at most REGION_FRAME_MAX bytes. */
static inline uint8_t *
region_out_frame(const struct region_ring *out, uint32_t i, uint32_t len)
{
	uint8_t *slot = region_slot(out, i);

	__atomic_store_n((uint32_t *)(void *)slot, len, __ATOMIC_RELAXED);
	return slot + 4;
}

#endif
