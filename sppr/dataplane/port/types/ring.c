/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_ring.h>

#include "base/log.h"
#include "forward/ring_notify.h"
#include "port/port.h"

/* A ring of the primary, used as it is: no ethdev around it, so no hot plug. */
struct port_ring {
	struct port port;
	struct rte_ring *ring;
	struct ring_sleeper *sleeper; /* shared: the worker that sleeps on this ring */
};

static uint16_t
ring_rx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	struct port_ring *p = (struct port_ring *)port;

	return (uint16_t)rte_ring_sc_dequeue_burst(p->ring, (void **)bufs, n, NULL);
}

static uint16_t
ring_tx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	struct port_ring *p = (struct port_ring *)port;
	unsigned int sent = rte_ring_sp_enqueue_burst(p->ring, (void **)bufs, n, NULL);

	ring_notify_filled(&p->sleeper->token);
	return (uint16_t)sent;
}

static int
ring_arm(struct port *port, uint64_t token)
{
	const struct port_ring *p = (struct port_ring *)port;

	if (p->sleeper->foreign != 0)
		return WAIT_POLL;
	__atomic_store_n(&p->sleeper->token, token, __ATOMIC_RELEASE);
	return WAIT_NONE;
}

static void
ring_disarm(struct port *port, bool event)
{
	(void)event;
	__atomic_store_n(&((struct port_ring *)port)->sleeper->token, 0, __ATOMIC_RELEASE);
}

static void
ring_close(struct port *port)
{
	(void)port; /* the ring is the primary's */
}

/* A producer or consumer killed inside an operation leaves head before tail; what lies between
 * was never handed over. Without this the next user would publish or reuse stale slots.
 */
static void
ring_recover(struct port *port, bool tx)
{
	struct rte_ring *ring = ((struct port_ring *)port)->ring;
	struct rte_ring_headtail *side = tx ? &ring->prod : &ring->cons;

	if (side->head != side->tail)
		log_line("ring:%u: mended after its %s died", port->id.number,
				tx ? "producer" : "consumer");
	side->head = side->tail;
}

static const struct port_ops ring_ops = {
	.rx_burst = ring_rx,
	.tx_burst = ring_tx,
	.close = ring_close,
	.recover = ring_recover,
	.arm = ring_arm,
	.disarm = ring_disarm,
};

struct port *
port_ring_open(const struct port_env *env, struct port_id id)
{
	struct shared *info = env->view->info;
	struct port_ring *p;

	if (id.number >= info->nrings) {
		log_line("ring:%u: the primary has %u rings", id.number, info->nrings);
		return NULL;
	}
	p = port_alloc(sizeof(*p), id, &ring_ops);
	if (p == NULL)
		return NULL;
	p->ring = env->view->ring[id.number];
	p->sleeper = &info->ring_sleeper[id.number];
	p->port.stats = &info->ring_stats[id.number];
	p->port.users = &info->ring_users[id.number];
	return &p->port;
}
