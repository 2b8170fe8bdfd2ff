/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PORT_TYPES_LINK_H
#define PORT_TYPES_LINK_H

#include "port/port.h"

/* Open a link over this ethdev of the primary. */
struct port *port_link_open(const struct shared_port *dev, struct port_id id);

#endif
