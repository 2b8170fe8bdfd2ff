/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef APP_H
#define APP_H

/* command.c and control.c are also built for spp_vm, without DPDK: what they see of it. */
#ifdef SPP_GUEST
#include "guest/guest.h"
#else

#include <stdbool.h>

#include "base/config.h"
#include "port/port.h"
#include "shm/shared.h"

#define MAX_PIPES 16

/* The primary's: two of its rings as one ethdev, for secondaries that are not ours. */
struct pipe {
	uint16_t number;
	uint16_t rx; /* the ring its user reads */
	uint16_t tx; /* the ring its user fills */
	uint16_t ethdev;
};

/* The state of a process, owned by its control thread. It outlives the connection. */
struct app {
	struct config cfg;
	struct shared_view view;
	struct port_env env;
	struct port_table ports;
	bool has_forwarder; /* always on an nfv; on a primary with worker lcores */
	bool running;
	unsigned int npipes;
	struct pipe pipe[MAX_PIPES];
	/* the primary: what the counters were at the last `clear` */
	struct port_stats port_base[RTE_MAX_ETHPORTS];
	struct port_stats ring_base[MAX_RINGS];
};

#endif
#endif
