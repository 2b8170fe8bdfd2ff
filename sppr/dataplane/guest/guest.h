/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef GUEST_GUEST_H
#define GUEST_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"
#include "guest/vport.h"
#include "port/port_id.h"

/* spp_vm's version of app.h. command.c and connection.c are compiled for the host and the guest.
 * The guest has no DPDK, no hugepages and no bound NIC.
 */
struct app {
	struct config cfg;
	struct port_table ports;
	bool has_forwarder;
	bool running;
};

/* Run all patches once. Return the number of received frames. */
unsigned int guest_forward(struct app *app);

/* Return whether a patch reads from a ring, which must be polled. */
bool guest_polls(const struct app *app);

#endif
