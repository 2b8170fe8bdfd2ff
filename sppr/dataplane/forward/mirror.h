/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FORWARD_MIRROR_H
#define FORWARD_MIRROR_H

#include "forward/fanout.h"

/* A destination that sends every frame to two ports. Both get the same mbuf with two references,
 * so whoever changes a frame must look at rte_mbuf_refcnt_read().
 */
struct fanout *mirror_new(struct port *src, struct port *first, struct port *second);

#endif
