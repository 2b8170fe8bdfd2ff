/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef GUEST_VPORT_H
#define GUEST_VPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "port/port_id.h"
#include "port/port_table.h"

/* Ports of the guest: phy is a NIC of the kernel, used by AF_PACKET; ring is an ivshmem device. */

#define VPORT_BURST 32
#define FRAME_HEADROOM 4 /* for the VLAN tag that the kernel removes */
#define FRAME_ROOM 2044	 /* size of a slot of a region */

struct frame {
	uint8_t *data;
	uint32_t len;
	uint8_t room[FRAME_HEADROOM + FRAME_ROOM];
};

struct port;

struct port_ops {
	unsigned int (*rx)(struct port *port, struct frame *frames, unsigned int n);
	/* Send frames. Return how many of the first ones were sent; the others are lost. */
	unsigned int (*tx)(struct port *port, const struct frame *frames, unsigned int n);
	/* Start before the first rx, stop after the last one. Frames from before the start are
	 * dropped.
	 */
	int (*listen)(struct port *port, bool on);
	void (*close)(struct port *port);
};

struct port {
	const struct port_ops *ops;
	struct port_id id;
	struct port *patched_to;
	int wait_fd; /* readable when there are frames; -1: poll */
	bool ready;  /* rx may return frames */
	bool listening;
	bool fixed;
	uint64_t rx, rx_drop, rx_bytes, tx, tx_drop, tx_bytes;
};

/* Return NULL after logging the reason. */
struct port *vport_phy_open(uint16_t number, const char *interface);
struct port *vport_ring_open(uint16_t number);

#endif
