/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PORT_VLAN_H
#define PORT_VLAN_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

/* VLAN tags of frames. The functions that write need a frame that nobody else refers to
 * (port/exclusive.h). tci: PCP and VLAN id, in host byte order.
 */

#define VLAN_ID_MASK 0xfff
#define VLAN_TPID 0x8100 /* 802.1Q */
/* The kernel does not look behind this one. Behind 802.1Q it would reassemble IPv4 fragments for
 * the packet socket of a link, and merge TCP segments (GRO).
 */
#define VLAN_LINK_TPID 0x9100

/* Return whether the outer tag has this TPID. */
bool vlan_is_tagged(const struct rte_mbuf *m, uint16_t tpid);

/* Add a tag before the tags of the frame. Return false if the frame is too short or has no room. */
bool vlan_push(struct rte_mbuf *m, uint16_t tpid, uint16_t tci);

/* Replace the outer 802.1Q tag, or add one to a frame without it. Return false as vlan_push(). */
bool vlan_replace(struct rte_mbuf *m, uint16_t tci);

/* Remove the outer tag. Return its VLAN id, or -1 if the frame has no tag with this TPID. */
int vlan_pop(struct rte_mbuf *m, uint16_t tpid);

#endif
