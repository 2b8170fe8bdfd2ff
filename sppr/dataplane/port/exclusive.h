/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PORT_EXCLUSIVE_H
#define PORT_EXCLUSIVE_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

/* Return a frame that nobody else refers to: the frame itself, or a copy of it from this pool.
 * Return NULL without an mbuf; then the frame is still there.
 */
static inline struct rte_mbuf *
make_exclusive(struct rte_mbuf *m, struct rte_mempool *pool)
{
	struct rte_mbuf *copy;

	if (rte_mbuf_refcnt_read(m) == 1 && RTE_MBUF_DIRECT(m))
		return m;
	copy = rte_pktmbuf_copy(m, pool, 0, UINT32_MAX);
	if (copy != NULL)
		rte_pktmbuf_free(m);
	return copy;
}

/* Change a frame that nobody else refers to. Return false if it cannot be changed. */
typedef bool frame_change(struct rte_mbuf *m, const void *how);

/* Change frames of a burst (at most UINT8_MAX), after a copy where needed. Return how many were
 * changed; they come first now, in their order.
 */
uint16_t change_frames(struct rte_mbuf **bufs, uint16_t n, frame_change *change, const void *how);

#endif
