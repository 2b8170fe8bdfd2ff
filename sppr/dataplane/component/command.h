/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMPONENT_COMMAND_H
#define COMPONENT_COMMAND_H

#include "control/request.h"

/* Run a command of spp_vf or spp_mirror, with the checks and messages of SPP. */
void component_command(struct request *r);

#endif
