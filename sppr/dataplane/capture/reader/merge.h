/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CAPTURE_READER_MERGE_H
#define CAPTURE_READER_MERGE_H

#include "capture/reader/consumer.h"
#include "capture/reader/tsc_clock.h"

/* Reads the records of several rings in the order of their times.
 *
 * A record may be read when no ring can get an earlier one. An empty ring whose worker copies no
 * burst gets later ones only, so a silent ring delays nobody. While a worker copies a burst, which
 * may take long if its core has other work, newer records of other rings wait for it, but never
 * longer than the hold time.
 */
struct merge_ring {
	struct capture_consumer ring;
	bool open;
	bool closed_by_peer; /* no record will follow those in the ring */
	bool corrupt;
	bool has_record;
	bool looked; /* in this pass; without a record, its next one has at least the time limit */
	uint64_t limit;
	struct capture_record record;
	const uint8_t *bytes;
};

/* A merged record. bytes stays valid until merge_release(). */
struct merge_record {
	unsigned int ring;
	struct capture_record record;
	const uint8_t *bytes;
};

struct merge {
	const struct tsc_clock *clock; /* for rings whose times are no TSC; NULL: there are none */
	struct merge_ring *ring;
	unsigned int n;
	uint64_t now;
	uint64_t hold; /* ticks */
};

/* Start a pass of merge_next(). now: the TSC. Rings that are finished or corrupt are no longer open
 * after a pass; the caller closes them.
 */
void merge_start(struct merge *m, uint64_t now);

/* Return the next record, and remove it. Return false if there is none that may be read now. */
bool merge_next(struct merge *m, struct merge_record *next);

/* Let the producers use the memory of the records that were read. */
void merge_release(const struct merge *m);

#endif
