/* SPDX-License-Identifier: BSD-3-Clause */
#include "capture/reader/merge.h"

/* Look at the next record of a ring. */
static void
look(const struct merge *m, struct merge_ring *r)
{
	bool last = r->closed_by_peer || capture_consumer_ended(&r->ring);
	bool busy = capture_consumer_busy(&r->ring);

	r->looked = true;
	switch (capture_consumer_peek(&r->ring, &r->record, &r->bytes)) {
	case CAPTURE_RECORD:
		if (r->ring.is_monotonic && m->clock != NULL)
			r->record.tsc = tsc_clock_from_monotonic(m->clock, r->record.tsc);
		r->has_record = true;
		return;
	case CAPTURE_EMPTY:
		r->limit = busy ? m->now - m->hold : m->now;
		r->open = !last;
		return;
	case CAPTURE_CORRUPT:
		r->corrupt = true;
		r->open = false;
		return;
	}
}

void
merge_start(struct merge *m, uint64_t now)
{
	unsigned int i;

	m->now = now;
	for (i = 0; i < m->n; i++)
		m->ring[i].looked = m->ring[i].has_record;
}

bool
merge_next(struct merge *m, struct merge_record *next)
{
	struct merge_ring *r, *first = NULL;
	uint64_t limit = UINT64_MAX;
	unsigned int i;

	for (i = 0; i < m->n; i++) {
		r = &m->ring[i];
		if (r->open && !r->looked)
			look(m, r);
		if (!r->open)
			continue;
		if (!r->has_record)
			limit = r->limit < limit ? r->limit : limit;
		else if (first == NULL || r->record.tsc < first->record.tsc)
			first = r;
	}
	if (first == NULL || (first->record.tsc > limit && first->record.tsc > m->now - m->hold))
		return false;
	next->ring = (unsigned int)(first - m->ring);
	next->record = first->record;
	next->bytes = first->bytes;
	capture_consumer_next(&first->ring, &first->record);
	first->has_record = false;
	first->looked = false;
	return true;
}

void
merge_release(const struct merge *m)
{
	unsigned int i;

	for (i = 0; i < m->n; i++)
		if (m->ring[i].open)
			capture_consumer_release(&m->ring[i].ring);
}
