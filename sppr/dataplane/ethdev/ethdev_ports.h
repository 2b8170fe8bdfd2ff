/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef ETHDEV_ETHDEV_PORTS_H
#define ETHDEV_ETHDEV_PORTS_H

#include "port/port.h"

/* Add a port for each queue of the primary's ethdevs that work in this process. Return -1 on
 * failure.
 */
int ethdev_ports_add(struct port_table *table, const struct port_env *env);

#endif
