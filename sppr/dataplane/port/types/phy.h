/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PORT_TYPES_PHY_H
#define PORT_TYPES_PHY_H

#include "port/port.h"

/* Open one queue of an ethdev of the primary. index is its index in struct shared. */
struct port *port_ethdev_open(const struct port_env *env, uint16_t index, uint16_t queue);

#endif
