/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PORT_PORT_H
#define PORT_PORT_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

#include "port/port_id.h"
#include "port/port_table.h"
#include "shm/shared.h"

/* What arm and wait_fd say when there is no fd. */
#define WAIT_POLL (-1) /* no event tells of packets: look again soon */
#define WAIT_NONE (-2) /* nothing comes, or the worker's waker tells of it */

struct port;

/* One file a port type. rx_burst and tx_burst run on worker lcores; the rest on the control
 * thread, while no worker has the port.
 */
struct port_ops {
	/* NULL for what cannot be a source, or a destination. */
	uint16_t (*rx_burst)(struct port *port, struct rte_mbuf **bufs, uint16_t n);
	/* Takes the first mbufs, returns how many; the rest stay the caller's. */
	uint16_t (*tx_burst)(struct port *port, struct rte_mbuf **bufs, uint16_t n);
	void (*close)(struct port *port);
	/* Optional: why no patch may use this side, or NULL. */
	const char *(*reserved)(const struct port *port, bool tx);
	/* Optional: a former user died holding this side; put it in order before use. */
	void (*recover)(struct port *port, bool tx);
	/* Optional, on the worker that polls it, around its sleep: ask for an event when packets
	 * come. An fd that is then readable, WAIT_NONE or WAIT_POLL. waker is the worker's token.
	 */
	int (*arm)(struct port *port, uint64_t token);
	/* event: the fd was readable */
	void (*disarm)(struct port *port, bool event);
	/* Optional, on the control thread: whether another side is there to send to. */
	bool (*link)(const struct port *port);
};

struct port {
	const struct port_ops *ops;
	struct port_stats *stats;
	struct port *patched_to;  /* one-way; a source has at most one destination */
	struct port_users *users; /* shared with other processes, or NULL */
	struct port_id id;
	int wait_fd;   /* without arm: readable when there may be packets, or WAIT_ */
	int rx_worker; /* who polls it now, -1: nobody */
	int tx_worker; /* who fills it now */
	bool fixed;    /* the primary's: neither added nor deleted */
	struct port_stats own_stats;
};

/* What opening a port needs of the process. */
struct port_env {
	struct shared_view *view;
	const struct config *cfg;
};

void port_close(struct port *port);

/* For the port types: a zeroed struct that starts with a struct port. */
void *port_alloc(size_t size, struct port_id id, const struct port_ops *ops);

#endif
