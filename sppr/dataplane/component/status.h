/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef COMPONENT_STATUS_H
#define COMPONENT_STATUS_H

#include "control/request.h"

/* Reply to `status` of spp_vf or spp_mirror. */
void component_status(struct request *r);

#endif
