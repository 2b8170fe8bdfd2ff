/* SPDX-License-Identifier: BSD-3-Clause */
#include <stdio.h>
#include <stdlib.h>

#include <rte_branch_prediction.h>

#include "base/log.h"
#include "port/port.h"
#include "port/port_type.h"
#include "shm/region.h"
#include "shm/region_file.h"

/* The host's end of a region that is shared with one guest (shm/region.h). Frames are copied, so
 * the guest never sees packet memory of the host.
 */
struct port_ivshmem {
	struct port port;
	struct region region;
	struct rte_mempool *pool;
	void *base;
	int fd;
};

static uint16_t
ivshmem_rx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	struct port_ivshmem *p = (struct port_ivshmem *)port;
	struct region_ring *in = &p->region.in;
	uint32_t count = region_in_count(in, n), len;
	uint16_t i, good = 0;

	/* without mbufs the frames stay in the ring */
	if (count == 0 || rte_pktmbuf_alloc_bulk(p->pool, bufs, count) != 0)
		return 0;
	for (i = 0; i < count; i++) {
		struct rte_mbuf *m = bufs[good];

		len = region_in_copy(in, i, rte_pktmbuf_mtod(m, void *), rte_pktmbuf_tailroom(m));
		if (unlikely(len == 0))
			continue;
		m->data_len = (uint16_t)len;
		m->pkt_len = len;
		good++;
	}
	region_in_release(in, count);
	if (unlikely(good < count)) {
		port->stats->rx_drop += count - good;
		rte_pktmbuf_free_bulk(&bufs[good], count - good);
	}
	return good;
}

static void
copy_out(const struct rte_mbuf *m, uint8_t *to)
{
	for (; m != NULL; m = m->next) {
		memcpy(to, rte_pktmbuf_mtod(m, void *), m->data_len);
		to += m->data_len;
	}
}

static uint16_t
ivshmem_tx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	struct port_ivshmem *p = (struct port_ivshmem *)port;
	struct region_ring *out = &p->region.out;
	uint32_t room = region_out_room(out, n), used = 0;
	uint16_t i;

	for (i = 0; i < room; i++) {
		struct rte_mbuf *m = bufs[i];

		if (unlikely(m->pkt_len > REGION_FRAME_MAX)) {
			/* too long for a slot: counted as sent and as a drop */
			port->stats->tx_drop++;
			continue;
		}
		copy_out(m, region_out_frame(out, used++, m->pkt_len));
	}
	if (used > 0)
		region_out_publish(out, used);
	rte_pktmbuf_free_bulk(bufs, i);
	return i;
}

static void
ivshmem_close(struct port *port)
{
	struct port_ivshmem *p = (struct port_ivshmem *)port;
	const struct region *r = &p->region;

	if (r->in.corrupt + r->out.corrupt + r->in.bad > 0)
		log_line("ivshmem:%u: the guest's indexes were impossible %lu times, its lengths "
			 "%lu "
			 "times",
				port->id.number, (unsigned long)(r->in.corrupt + r->out.corrupt),
				(unsigned long)r->in.bad);
	region_file_close(p->fd, p->base); /* a VM uses the file, so it stays */
}

static const struct port_ops ivshmem_ops = {
	.rx_burst = ivshmem_rx,
	.tx_burst = ivshmem_tx,
	.close = ivshmem_close,
	.counts_bytes = true,
};

static struct port *
port_ivshmem_open(const struct port_env *env, struct port_id id)
{
	struct port_ivshmem *p = port_alloc(sizeof(*p), id, &ivshmem_ops);
	char path[128];

	if (p == NULL)
		return NULL;
	snprintf(path, sizeof(path), "%s/ivshmem%u", env->cfg->sock_dir, id.number);
	p->pool = env->view->pool;
	p->fd = region_file_open(path, &p->base);
	if (p->fd < 0) {
		free(p);
		return NULL;
	}
	region_attach(&p->region, p->base, REGION_HOST);
	return &p->port;
}

const struct port_type port_type_ivshmem = {
	.open = port_ivshmem_open,
};
