/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PORT_PORT_STATS_H
#define PORT_PORT_STATS_H

#include "shm/shared.h"

/* Counters in shared memory have one writer and only grow, so `clear` stores a baseline. */

/* What was counted since the baseline. */
struct port_stats port_stats_since(const struct port_stats *now, const struct port_stats *baseline);

/* A line of --disp-stats. */
void port_stats_print(struct port_id id, const struct port_stats *stats);

#endif
