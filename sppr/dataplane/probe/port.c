/* SPDX-License-Identifier: BSD-3-Clause */
#include <rte_cycles.h>

#include "base/log.h"
#include "forward/worker.h"
#include "probe/port.h"
#include "probe/sink.h"
#include "shm/owner.h"

/* Test equipment: a source that makes verifiable frames, and a sink that checks them. Different
 * workers may use them.
 */
struct port_probe {
	struct port port;
	struct probe_slot *slot;
	struct probe_source source;
	struct probe_sink sink;
};

/* In unit tests EAL does not run, so the frequency is unknown. */
static uint64_t
tsc_hz(void)
{
	uint64_t hz = rte_get_tsc_hz();

	return hz != 0 ? hz : NS_PER_S;
}

uint64_t
probe_tsc_to_ns(uint64_t tsc)
{
	return (uint64_t)((unsigned __int128)tsc * NS_PER_S / tsc_hz());
}

static uint16_t
probe_rx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	struct probe_source *source = &((struct port_probe *)port)->source;

	return probe_source_running(source) ? probe_source_make(source, bufs, n) : 0;
}

static uint16_t
probe_tx(struct port *port, struct rte_mbuf **bufs, uint16_t n)
{
	probe_sink_check(&((struct port_probe *)port)->sink, bufs, n);
	rte_pktmbuf_free_bulk(bufs, n);
	return n;
}

/* probe_start() wakes the worker. */
static int
probe_arm(struct port *port, uint64_t token)
{
	(void)token;
	return probe_source_running(&((struct port_probe *)port)->source) ? WAIT_POLL : WAIT_NONE;
}

static void
probe_close(struct port *port)
{
	struct port_probe *p = (struct port_probe *)port;

	probe_source_stop(&p->source);
	owner_release(&p->slot->process);
}

static const struct port_ops probe_ops = {
	.rx_burst = probe_rx,
	.tx_burst = probe_tx,
	.close = probe_close,
	.arm = probe_arm,
};

void
probe_start(struct port *port, const struct probe_run *run)
{
	struct port_probe *p = (struct port_probe *)port;
	const struct probe_slot *all = p->slot - port->id.number;

	probe_stop(port);
	probe_source_start(&p->source, run, &all[run->peer].sink.highest);
	workers_wake();
}

void
probe_stop(struct port *port)
{
	probe_source_stop(&((struct port_probe *)port)->source);
	workers_synchronize();
}

void
probe_expect(struct port *port, uint16_t flow, uint32_t key)
{
	struct probe_expected expected = { .any = true, .flow = flow, .key = key };

	probe_sink_expect(&((struct port_probe *)port)->sink, &expected);
}

const struct probe_slot *
probe_slot_of(const struct port *port)
{
	return ((const struct port_probe *)port)->slot;
}

static int
claim_slot(struct probe_slot *slot, struct port_id id)
{
	bool stale;
	pid_t other = owner_claim(&slot->process, &stale);

	if (other <= 0)
		return other;
	log_line("probe:%u: process %d has it; each probe number exists once in a lab", id.number,
			other);
	return -1;
}

struct port *
port_probe_open(const struct port_env *env, struct port_id id)
{
	struct probe_slot *slot;
	struct port_probe *p;

	if (id.number >= MAX_PROBES) {
		log_line("probe:%u: probes are probe:0 to probe:%d", id.number, MAX_PROBES - 1);
		return NULL;
	}
	slot = &env->view->info->probe[id.number];
	if (claim_slot(slot, id) < 0)
		return NULL;
	p = port_alloc(sizeof(*p), id, &probe_ops);
	if (p == NULL) {
		owner_release(&slot->process);
		return NULL;
	}
	p->slot = slot;
	probe_source_open(&p->source, &slot->source, env->view->pool, tsc_hz());
	probe_sink_open(&p->sink, &slot->sink, tsc_hz());
	return &p->port;
}
