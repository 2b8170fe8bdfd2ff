/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CAPTURE_READER_CONSUMER_H
#define CAPTURE_READER_CONSUMER_H

#include "capture/ring.h"

/* The reading side of a ring. The producer may be hostile: whatever it writes, no read leaves the
 * mapping.
 */
struct capture_consumer {
	struct capture_ring_header *header;
	const uint8_t *bytes;
	uint64_t size;
	uint64_t tail;
	uint64_t head; /* of the producer, when it was last read */
	uint32_t snaplen;
	bool is_monotonic; /* see ring.h */
	uint32_t hold_ms;
};

/* Map a ring. Return NULL, or the reason of a failure. The caller closes the memfd. */
const char *capture_consumer_open(struct capture_consumer *c, int fd, uint32_t snaplen);
void capture_consumer_close(struct capture_consumer *c);

enum capture_peek {
	CAPTURE_RECORD,
	CAPTURE_EMPTY,
	CAPTURE_CORRUPT, /* do not use the ring again */
};

/* Copy the header of the next record. *bytes: its record->captured bytes, which the producer may
 * still change.
 */
enum capture_peek capture_consumer_peek(
		struct capture_consumer *c, struct capture_record *record, const uint8_t **bytes);

/* Remove the record that was peeked at. */
void capture_consumer_next(struct capture_consumer *c, const struct capture_record *record);

/* Let the producer use the memory of the records that were removed. */
void capture_consumer_release(struct capture_consumer *c);

/* Return whether the producer copies a burst now. If not, and the ring is empty afterwards, then
 * each later record has a later time than this call.
 */
bool capture_consumer_busy(const struct capture_consumer *c);

bool capture_consumer_ended(const struct capture_consumer *c);
uint64_t capture_consumer_frames(const struct capture_consumer *c);
uint64_t capture_consumer_dropped(const struct capture_consumer *c);

#endif
