/* SPDX-License-Identifier: BSD-3-Clause */
#include "port/port_type.h"

#define PORT_TYPE_ENTRY(constant, object, name, form) [constant] = &port_type_##object,

const struct port_type *const port_types[N_PORT_TYPES] = { PORT_TYPES(PORT_TYPE_ENTRY) };
