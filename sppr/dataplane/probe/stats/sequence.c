/* SPDX-License-Identifier: BSD-3-Clause */
#include "probe/stats/sequence.h"

void
probe_sequence_skip(struct probe_sequence *s, int64_t to)
{
	int64_t sequence = s->highest + 1;

	if (to - s->highest >= PROBE_WINDOW) {
		memset(s->seen, 0, sizeof(s->seen));
		return;
	}
	for (; sequence < to && (sequence & 63) != 0; sequence++)
		*probe_sequence_word(s, sequence) &= ~probe_sequence_bit(sequence);
	for (; to - sequence >= 64; sequence += 64)
		*probe_sequence_word(s, sequence) = 0;
	for (; sequence < to; sequence++)
		*probe_sequence_word(s, sequence) &= ~probe_sequence_bit(sequence);
}
