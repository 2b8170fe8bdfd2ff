/* SPDX-License-Identifier: BSD-3-Clause */
#include <string.h>

#include <rte_ring.h>

#include "app.h"
#include "base/log.h"
#include "control/json.h"
#include "forward/ring_notify.h"
#include "port/port.h"
#include "port/port_stats.h"
#include "port/port_type.h"

/* A ring of the primary, used without an ethdev, so that no hot plug is needed. */
struct port_ring {
	struct port port;
	struct rte_ring *ring;
	struct ring_sleeper *sleeper; /* in shared memory: the worker that sleeps on this ring */
	const struct ring_reserved *reserved;
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
	(void)port; /* the primary owns the ring */
}

/* A producer or consumer that is killed during an operation leaves head ahead of tail. The entries
 * between them were never handed over. Without this repair the next user would publish or reuse old
 * entries.
 */
static void
ring_recover(struct port *port, bool tx)
{
	struct rte_ring *ring = ((struct port_ring *)port)->ring;
	struct rte_ring_headtail *side = tx ? &ring->prod : &ring->cons;

	if (side->head != side->tail)
		log_line("ring:%u: repaired after its %s died", port->id.number,
				tx ? "producer" : "consumer");
	side->head = side->tail;
}

static const char *
ring_reserved(const struct port *port, bool tx)
{
	const struct ring_reserved *reserved = ((const struct port_ring *)port)->reserved;

	return (tx ? reserved->tx : reserved->rx) ? "a pipe has that side" : NULL;
}

static const struct port_ops ring_ops = {
	.rx_burst = ring_rx,
	.tx_burst = ring_tx,
	.close = ring_close,
	.recover = ring_recover,
	.reserved = ring_reserved,
	.arm = ring_arm,
	.disarm = ring_disarm,
};

static struct port *
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
	p->reserved = &env->view->ring_reserved[id.number];
	p->port.stats = &info->ring_stats[id.number];
	p->port.users = &info->ring_users[id.number];
	return &p->port;
}

static void
put_ring(const struct app *app, struct json *w, uint16_t i)
{
	struct port_stats s = port_stats_since(&app->view.info->ring_stats[i], &app->ring_base[i]);

	json_object(w, NULL);
	json_uint(w, "id", i);
	json_uint(w, "rx", s.rx);
	json_uint(w, "rx_drop", s.rx_drop);
	json_uint(w, "tx", s.tx);
	json_uint(w, "tx_drop", s.tx_drop);
	json_end(w);
}

static void
put_status(const struct app *app, struct json *w)
{
	uint16_t i;

	json_array(w, "ring_ports");
	for (i = 0; i < app->view.info->nrings; i++)
		put_ring(app, w, i);
	json_end(w);
}

static void
clear_stats(struct app *app)
{
	memcpy(app->ring_base, app->view.info->ring_stats, sizeof(app->ring_base));
}

static void
print_stats(const struct app *app)
{
	struct port_stats s;
	uint16_t i;

	for (i = 0; i < app->view.info->nrings; i++) {
		s = port_stats_since(&app->view.info->ring_stats[i], &app->ring_base[i]);
		port_stats_print((struct port_id){ PORT_RING, i, 0 }, &s);
	}
}

const struct port_type port_type_ring = {
	.open = port_ring_open,
	.put_status = put_status,
	.clear_stats = clear_stats,
	.print_stats = print_stats,
};
