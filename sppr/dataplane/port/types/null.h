/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PORT_TYPES_NULL_H
#define PORT_TYPES_NULL_H

#include "port/port.h"

struct port *port_null_open(const struct port_env *env, struct port_id id);

#endif
