/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PORT_PORT_H
#define PORT_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "capture/hook.h"
#include "forward/match.h"
#include "port/port_id.h"
#include "port/port_table.h"
#include "shm/shared.h"

/* Values of wait_fd and arm() when there is no fd. */
#define WAIT_POLL (-1) /* no event: poll again soon */
#define WAIT_NONE (-2) /* no packets will come, or the ring_notify socket has the event */

struct impairment; /* impair/impairment.h */
struct port;

typedef uint16_t burst_function(struct port *port, struct rte_mbuf **bufs, uint16_t n);

/* The operations of a port. rx_burst and tx_burst run on worker lcores. The others run on the
 * control thread, while no worker uses the port, unless noted.
 */
struct port_ops {
	/* NULL if the port cannot be a source, or not a destination. */
	burst_function *rx_burst;
	/* Takes the first mbufs and returns how many. The others stay with the caller. */
	burst_function *tx_burst;
	void (*close)(struct port *port);
	/* Optional: return why no patch may use this side, or NULL. */
	const char *(*reserved)(const struct port *port, bool tx);
	/* Optional: fix this side after the process that used it died. */
	void (*recover)(struct port *port, bool tx);
	/* Optional, on the worker that polls the port: ask for an event before it sleeps. Return an
	 * fd that becomes readable, WAIT_NONE or WAIT_POLL. token wakes this worker, see
	 * forward/ring_notify.h.
	 */
	int (*arm)(struct port *port, uint64_t token);
	/* event: the fd was readable */
	void (*disarm)(struct port *port, bool event);
	/* Optional: whether the other side is connected. */
	bool (*link)(const struct port *port);
	/* Whether bytes are counted. A port that moves only the addresses of frames does not: it
	 * would read every frame from memory.
	 */
	bool counts_bytes;
};

/* A patch for some frames of a source, in addition to patched_to. */
struct patch_rule {
	struct match match;
	struct port *dst;
	struct impairment *impairment; /* NULL: none */
};

struct patch_rules {
	unsigned int n;
	struct patch_rule rule[];
};

enum vlan_operation {
	VLAN_NONE,
	VLAN_ADD, /* add a tag, or replace the one that the frame has */
	VLAN_DEL,
};

/* What happens to frames at one side of a port, in addition to rx_burst or tx_burst. */
struct port_side {
	enum vlan_operation vlan;
	uint16_t tci; /* of VLAN_ADD: VID and PCP */
};

struct port {
	const struct port_ops *ops;
	struct port_stats *stats;
	struct port *patched_to;       /* one direction; NULL: none */
	struct impairment *impairment; /* of the patch to patched_to; NULL: none */
	struct port *mirrored_to;      /* gets each frame, too; NULL: none */
	struct patch_rules *rules;     /* NULL: none */
	struct port_side rx, tx;
	struct capture_slots rx_captures, tx_captures;
	struct port_users *users; /* in shared memory, or NULL */
	struct port_id id;
	int wait_fd;   /* for ports without arm: readable fd, or a WAIT_ value */
	int rx_worker; /* worker that polls it, or -1 */
	int tx_worker; /* worker that fills it, or -1 */
	int pinned;    /* the worker that must poll it, or -1 */
	bool fixed;    /* a port of the primary, which cannot be added or deleted */
	struct port_stats own_stats;
};

/* Return the function that receives from a port, or sends to it, with what its side does, and with
 * its captures.
 */
burst_function *port_rx_burst(const struct port *port);
burst_function *port_tx_burst(const struct port *port);

/* Return whether a patch leads from this port. */
bool port_is_source(const struct port *port);

/* Return destination i of a port, or NULL behind the last one. One may be listed twice. */
struct port *port_destination(const struct port *port, unsigned int i);

/* The context for opening a port. */
struct port_env {
	struct shared_view *view;
	const struct config *cfg;
};

void port_close(struct port *port);

/* For port types: allocate a zeroed struct that starts with a struct port. */
void *port_alloc(size_t size, struct port_id id, const struct port_ops *ops);

#endif
