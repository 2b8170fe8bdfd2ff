/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_TELEMETRY_H
#define CONTROL_TELEMETRY_H

#include "app.h"

/* Register /spp/rings, /spp/ports, /spp/processes, /spp/patches and /spp/probes on the telemetry
 * socket of the primary. The handlers run on DPDK's telemetry thread, so they only read shared
 * memory.
 */
int telemetry_set_up(const struct app *app);

#endif
