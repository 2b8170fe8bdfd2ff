/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef SHM_SHARED_H
#define SHM_SHARED_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <rte_common.h>
#include <rte_config.h>
#include <rte_ethdev.h>
#include <rte_mempool.h>
#include <rte_ring.h>

#include "base/config.h"
#include "port/port_id.h"
#include "probe/slot.h"
#include "shm/mempool_ops.h"
#include "shm/process_id.h"

#define SHARED_POOL_NAME "MProc_pktmbuf_pool"
#define SHARED_ZONE_NAME "MProc_port_info"
#define SHARED_RING_NAME "eth_ring%u"
#define SHARED_RING_SLOTS \
	1024 /* SPP: 128; more absorb a consumer that loses its CPU for a moment */
#define SHARED_MAGIC 0x53505052 /* "SPPR" */
#define SHARED_VERSION 7

/* One process may poll a port while another fills it, so each side has its own cache line. */
struct port_stats {
	uint64_t rx;
	uint64_t rx_drop;
	uint64_t rx_bytes; /* of ports with counts_bytes only */
	uint64_t tx __rte_cache_aligned;
	uint64_t tx_drop;
	uint64_t tx_bytes;
} __rte_cache_aligned;

/* The processes that poll and fill a port. A ring has one producer and one consumer, an ethdev
 * queue has one user. A second one would corrupt it.
 */
struct port_users {
	process_id rx;
	process_id tx;
};

/* The worker that sleeps until the ring is filled (forward/ring_notify.h). 0: it is awake. */
struct ring_sleeper {
	uint64_t token;
	uint32_t foreign; /* filled by a process that does not wake workers */
} __rte_cache_aligned;

struct shared_port {
	uint16_t ethdev;
	uint16_t type; /* enum port_type_id */
	uint16_t number;
	uint16_t nrxq;
	uint16_t ntxq;
	bool plain_null; /* net_null without options, which a secondary cannot see */
	struct port_users users[MAX_QUEUES];
	char name[RTE_ETH_NAME_MAX_LEN];
};

#define PATCH_REGISTRY_SIZE 64
#define PATCH_REGISTRY_PATCHES 64

/* The patches of a process, see forward/patch_registry.h. */
struct patch_registry_entry {
	process_id process;
	uint32_t sequence;
	uint16_t id; /* 0: the primary */
	bool running;
	unsigned int npatches;
	struct {
		struct port_id src;
		struct port_id dst;
	} patch[PATCH_REGISTRY_PATCHES];
};

/* The memzone MProc_port_info. The primary writes it when its ports run. Counters only grow and
 * have one writer, so `clear` stores a baseline in the primary.
 */
struct shared {
	uint32_t magic;
	uint32_t version;
	uint32_t size;
	uint32_t primary_pid;
	uint64_t published_ns; /* CLOCK_MONOTONIC */
	/* the primary's pool handlers by index, see shm/mempool_ops.h */
	mempool_ops_names mempool_ops;
	uint16_t nports;
	uint16_t nrings;
	process_id lcore_user[RTE_MAX_LCORE]; /* owner of the pool cache of each lcore id */
	struct shared_port port[RTE_MAX_ETHPORTS];
	struct port_users ring_users[MAX_RINGS];
	/* per queue, because two processes may use two queues */
	struct port_stats port_stats[RTE_MAX_ETHPORTS][MAX_QUEUES];
	struct port_stats ring_stats[MAX_RINGS];
	struct ring_sleeper ring_sleeper[MAX_RINGS];
	struct patch_registry_entry patch_registry[PATCH_REGISTRY_SIZE];
	uint64_t held_limit; /* frames that the impairments of the lab may hold together */
	uint64_t held __rte_cache_aligned;			 /* frames that they hold; atomic */
	struct probe_slot probe[MAX_PROBES] __rte_cache_aligned; /* indexed by the number of the
								    port */
};

/* Sides of a ring that a pipe reserves for a process that is not ours. */
struct ring_reserved {
	bool rx;
	bool tx;
};

/* The view of one process. */
struct shared_view {
	struct shared *info;
	struct rte_mempool *pool;
	struct rte_ring *ring[MAX_RINGS];
	struct ring_reserved ring_reserved[MAX_RINGS]; /* by the pipes of this process */
};

/* held: the mbufs for frames of impairments, in addition to those of ports and rings */
int shared_create_pool(struct shared_view *view, unsigned int nports, unsigned int nrings,
		unsigned int held);
int shared_publish(struct shared_view *view, const struct shared_port *ports, uint16_t nports,
		uint16_t nrings, unsigned int held);
int shared_attach(struct shared_view *view);

/* The sum over all queues of a port. */
struct port_stats shared_port_stats(const struct shared *info, uint16_t port);

/* Claim the pool caches of the worker lcores of this process. Return 0, or -1 after logging the
 * owner. shared_publish() does it for the primary.
 */
int shared_claim_lcores(const struct shared_view *view);

/* Release them, after the workers have stopped. The next user can use what they contain. */
void shared_release_lcores(const struct shared_view *view);

#endif
