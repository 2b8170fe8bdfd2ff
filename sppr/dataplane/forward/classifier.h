/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FORWARD_CLASSIFIER_H
#define FORWARD_CLASSIFIER_H

#include "forward/fanout.h"

/* A destination that sends each frame to one of several ports. The most specific match wins: VLAN
 * and MAC address, then MAC address, then VLAN; the destination address before the source address.
 * Frames that no rule takes go to rest, or are dropped and counted as rx_drop of the source if rest
 * is NULL.
 */
struct fanout *classifier_new(struct port *src, const struct patch_rules *rules, struct port *rest);

#endif
