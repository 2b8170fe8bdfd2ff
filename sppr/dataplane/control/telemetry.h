/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef CONTROL_TELEMETRY_H
#define CONTROL_TELEMETRY_H

#include "app.h"

/* /spp/rings, /spp/ports, /spp/processes and /spp/patches on the telemetry socket of the primary.
 * The handlers run on DPDK's telemetry thread and read shared memory only.
 */
int telemetry_set_up(const struct app *app);

#endif
