/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <rte_mbuf.h>
#include <rte_prefetch.h>

#include "capture/hook.h"
#include "capture/producer.h"

#define PREFETCH_AHEAD 4

bool
capture_slots_used(const struct capture_slots *slots)
{
	unsigned int i;

	for (i = 0; i < CAPTURES_PER_SIDE; i++)
		if (slots->slot[i] != NULL)
			return true;
	return false;
}

/* Copy the first bytes of a frame with several segments. */
static void
gather(const struct rte_mbuf *m, uint8_t *to, uint32_t left)
{
	uint32_t part;

	for (; m != NULL && left > 0; m = m->next) {
		part = RTE_MIN(left, (uint32_t)m->data_len);
		memcpy(to, rte_pktmbuf_mtod(m, const void *), part);
		to += part;
		left -= part;
	}
	memset(to, 0, left); /* the segments are shorter than the length of the frame */
}

static void
copy_frame(struct capture_producer *ring, const struct rte_mbuf *m)
{
	uint8_t *to = capture_producer_add(ring, m->pkt_len);
	uint32_t captured = RTE_MIN(m->pkt_len, ring->snaplen);

	if (to == NULL)
		return;
	if (likely(m->data_len >= captured))
		memcpy(to, rte_pktmbuf_mtod(m, const void *), captured);
	else
		gather(m, to, captured);
}

static void
copy_frames(struct capture_producer *ring, struct rte_mbuf **bufs, uint16_t n)
{
	uint16_t i;

	capture_producer_begin(ring);
	for (i = 0; i < n; i++) {
		if (i + PREFETCH_AHEAD < n)
			rte_prefetch0(rte_pktmbuf_mtod(bufs[i + PREFETCH_AHEAD], const void *));
		copy_frame(ring, bufs[i]);
	}
}

void
capture_burst_copy(struct capture_burst *burst, const struct capture_slots *slots,
		struct rte_mbuf **bufs, uint16_t n)
{
	struct capture_producer *ring;
	unsigned int i;

	burst->n = 0;
	if (n == 0)
		return;
	for (i = 0; i < CAPTURES_PER_SIDE; i++) {
		ring = __atomic_load_n(&slots->slot[i], __ATOMIC_ACQUIRE);
		if (ring == NULL)
			continue;
		copy_frames(ring, bufs, n);
		burst->ring[burst->n++] = ring;
	}
}

void
capture_burst_commit(const struct capture_burst *burst, uint16_t n)
{
	unsigned int i;

	for (i = 0; i < burst->n; i++)
		capture_producer_commit(burst->ring[i], n);
}
