/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PROBE_COMMAND_DISPATCH_H
#define PROBE_COMMAND_DISPATCH_H

#include "control/request.h"

/* Execute `probe (start | expect | stop | result | histogram) probe:N [KEY=VALUE]...`. */
void probe_command(struct request *r);

#endif
