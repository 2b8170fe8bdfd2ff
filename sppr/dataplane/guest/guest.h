/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef GUEST_GUEST_H
#define GUEST_GUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "base/config.h"
#include "guest/vport.h"
#include "port/port_id.h"

/* spp_vm's side of app.h: command.c and control.c are compiled for both, this for the guest. There
 * is no DPDK in a guest, no hugepage and no bound NIC.
 */
struct app {
	struct config cfg;
	struct port_table ports;
	bool has_forwarder;
	bool running;
};

/* One round over all patches; how many frames were received. */
unsigned int guest_forward(struct app *app);

/* Whether a patch reads from a ring, which has no event to wait for. */
bool guest_polls(const struct app *app);

#endif
