/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PROBE_STATS_SEQUENCE_H
#define PROBE_STATS_SEQUENCE_H

#include <stdint.h>
#include <string.h>

#define PROBE_WINDOW 65536 /* sequence numbers remembered below the highest */

/* Classify a sequence number as new, reordered (RFC 4737) or duplicate. Numbers have 32 bits on the
 * wire and wrap. Each is extended to the value nearest to the highest so far.
 */
struct probe_sequence {
	int64_t highest; /* -1: none */
	uint64_t seen[PROBE_WINDOW / 64];
};

enum probe_order {
	PROBE_IN_ORDER,
	PROBE_REORDERED,
	PROBE_DUPLICATE,
	PROBE_LATE, /* below the window: reordered, may be a duplicate */
};

static inline void
probe_sequence_reset(struct probe_sequence *s)
{
	memset(s->seen, 0, sizeof(s->seen));
	s->highest = -1;
}

static inline uint64_t
probe_sequence_bit(int64_t sequence)
{
	return 1ULL << ((uint64_t)sequence & 63);
}

static inline uint64_t *
probe_sequence_word(struct probe_sequence *s, int64_t sequence)
{
	return &s->seen[((uint64_t)sequence % PROBE_WINDOW) / 64];
}

/* Clear the bits of the skipped numbers. */
void probe_sequence_skip(struct probe_sequence *s, int64_t to);

static inline enum probe_order
probe_sequence_take(struct probe_sequence *s, uint32_t number)
{
	int64_t sequence = s->highest < 0 ? (int64_t)number
					  : s->highest + (int32_t)(number - (uint32_t)s->highest);
	uint64_t bit = probe_sequence_bit(sequence);
	uint64_t *word;

	if (sequence > s->highest) {
		if (sequence != s->highest + 1)
			probe_sequence_skip(s, sequence);
		s->highest = sequence;
		*probe_sequence_word(s, sequence) |= bit;
		return PROBE_IN_ORDER;
	}
	if (sequence < 0 || s->highest - sequence >= PROBE_WINDOW)
		return PROBE_LATE;
	word = probe_sequence_word(s, sequence);
	if ((*word & bit) != 0)
		return PROBE_DUPLICATE;
	*word |= bit;
	return PROBE_REORDERED;
}

#endif
