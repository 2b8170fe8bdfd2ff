/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ETHDEV_ETHDEV_PORTS_H
#define ETHDEV_ETHDEV_PORTS_H

#include "port/port.h"

/* Add every ethdev of the primary that works in this process, a port for each queue. */
int ethdev_ports_add(struct port_table *table, const struct port_env *env);

#endif
