/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PROBE_PORT_H
#define PROBE_PORT_H

#include "port/port.h"
#include "probe/source.h"

struct port *port_probe_open(const struct port_env *env, struct port_id id);

/* Functions for the control thread, also while workers use the port. The port must be a probe. */

/* Reset the counters of the source and make frames. */
void probe_start(struct port *port, const struct probe_run *run);

/* Stop making frames. The counters stay. */
void probe_stop(struct port *port);

/* Reset the counters of the sink, and expect this flow and key. */
void probe_expect(struct port *port, uint16_t flow, uint32_t key);

const struct probe_slot *probe_slot_of(const struct port *port);

uint64_t probe_tsc_to_ns(uint64_t tsc);

#endif
