/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PORT_VLAN_H
#define PORT_VLAN_H

#include <stdbool.h>
#include <stdint.h>

#include <rte_mbuf.h>

/* VLAN tags (802.1Q, TPID 0x8100) of frames. The functions that write need a frame that nobody else
 * refers to (port/exclusive.h). tci: PCP and VLAN id, in host byte order.
 */

#define VLAN_ID_MASK 0xfff

bool vlan_is_tagged(const struct rte_mbuf *m);

/* Add a tag before the tags of the frame. Return false if the frame is too short or has no room. */
bool vlan_push(struct rte_mbuf *m, uint16_t tci);

/* Replace the outer tag, or add a tag to a frame without one. Return false as vlan_push(). */
bool vlan_replace(struct rte_mbuf *m, uint16_t tci);

/* Remove the outer tag. Return its VLAN id, or -1 if the frame has no tag. */
int vlan_pop(struct rte_mbuf *m);

/* As vlan_pop(), for a frame from a driver, which may have removed the tag already
 * (RTE_MBUF_F_RX_VLAN_STRIPPED). Later readers of the mbuf do not see the tag.
 */
int vlan_take(struct rte_mbuf *m);

#endif
