/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include "port/exclusive.h"

uint16_t
change_frames(struct rte_mbuf **bufs, uint16_t n, frame_change *change, const void *how)
{
	struct rte_mbuf *m, *failed[UINT8_MAX];
	uint16_t i, good = 0, bad = 0;

	for (i = 0; i < n; i++) {
		m = make_exclusive(bufs[i], bufs[i]->pool);
		if (m != NULL && change(m, how))
			bufs[good++] = m;
		else
			failed[bad++] = m != NULL ? m : bufs[i];
	}
	memcpy(&bufs[good], failed, bad * sizeof(bufs[0]));
	return good;
}
