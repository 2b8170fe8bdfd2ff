/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PORT_EXCLUSIVE_H
#define PORT_EXCLUSIVE_H

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

#endif
