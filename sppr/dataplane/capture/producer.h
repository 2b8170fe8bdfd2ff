/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CAPTURE_PRODUCER_H
#define CAPTURE_PRODUCER_H

#include "capture/ring.h"

/* The writing side of a ring. A burst is begin, add for each frame, and commit with the number of
 * frames that count: frames that the port did not take are copied in vain.
 */

/* Frames of a burst beyond this number are dropped. */
#define CAPTURE_BURST 256

struct capture_producer {
	struct capture_ring_header *header;
	uint8_t *bytes;
	uint64_t size;
	uint64_t head;
	uint64_t tail;	   /* of the consumer, when it was last read */
	uint64_t position; /* behind the last frame of this burst */
	uint64_t tsc;	   /* of this burst */
	uint64_t frames;   /* of all bursts */
	uint64_t total_dropped;
	uint32_t snaplen;
	uint32_t n;	  /* frames of this burst */
	uint32_t dropped; /* of this burst */
	struct {
		uint64_t position; /* behind this frame */
		uint32_t dropped;  /* up to this frame */
	} frame[CAPTURE_BURST];
};

/* Create and map a ring. Return the memfd, which the caller closes, or -1 with errno. size must be
 * a power of two. All memory is allocated now: a page that is missing later would kill the worker.
 */
int capture_producer_open(struct capture_producer *p, uint32_t snaplen, size_t size);
void capture_producer_close(struct capture_producer *p);

/* The hot path: no log, no system call, no allocation, no lock. */

/* Start a burst. Its frames have the time of this call. */
void capture_producer_begin(struct capture_producer *p);

/* Return memory for the bytes of the next frame, min(length, snaplen), or NULL: it is dropped. */
uint8_t *capture_producer_add(struct capture_producer *p, uint32_t length);

/* Publish the first n frames of the burst. */
void capture_producer_commit(struct capture_producer *p, uint32_t n);

#endif
