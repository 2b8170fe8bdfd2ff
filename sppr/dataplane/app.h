/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef APP_H
#define APP_H

/* control/ is also built for spp_vm, which has no DPDK and its own struct app. */
#ifdef SPP_GUEST
#include "guest/guest.h"
#else

#include <stdbool.h>

#include "base/config.h"
#include "port/port.h"
#include "shm/shared.h"

/* The state of a process. Its control thread owns it. It outlives the connection to the controller.
 */
struct app {
	struct config cfg;
	struct shared_view view;
	struct port_env env;
	struct port_table ports;
	bool has_forwarder; /* true on an nfv, and on a primary that has worker lcores */
	bool running;
	/* primary: the counters at the time of the last `clear` */
	struct port_stats port_base[RTE_MAX_ETHPORTS];
	struct port_stats ring_base[MAX_RINGS];
};

#endif
#endif
