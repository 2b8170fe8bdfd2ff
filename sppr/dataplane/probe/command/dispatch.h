/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PROBE_CALL_H
#define PROBE_CALL_H

#include "control/request.h"

/* probe (start | expect | stop | result | histogram) probe:N [KEY=VALUE]... */
void probe_call(struct call *c);

#endif
