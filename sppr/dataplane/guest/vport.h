/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef GUEST_VPORT_H
#define GUEST_VPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "port/port_id.h"
#include "port/port_table.h"

/* Ports of a guest: phy, a NIC of the kernel's by AF_PACKET, and ring, an ivshmem device. */

#define VPORT_BURST 32
#define FRAME_HEADROOM 4 /* the VLAN tag the kernel took out */
#define FRAME_ROOM 2044	 /* what a slot of a region holds */

struct frame {
	uint8_t *data;
	uint32_t len;
	uint8_t room[FRAME_HEADROOM + FRAME_ROOM];
};

struct port;

struct port_ops {
	unsigned int (*rx)(struct port *port, struct frame *frames, unsigned int n);
	/* How many of the first frames went out; the others are lost. */
	unsigned int (*tx)(struct port *port, const struct frame *frames, unsigned int n);
	/* Before the first rx, and after the last: nothing older than that is received. */
	int (*listen)(struct port *port, bool on);
	void (*close)(struct port *port);
};

struct port {
	const struct port_ops *ops;
	struct port_id id;
	struct port *patched_to;
	int wait_fd; /* readable when there are frames; -1: has to be polled */
	bool ready;  /* worth a rx */
	bool listening;
	bool fixed;
	uint64_t rx, rx_drop, tx, tx_drop;
};

/* NULL after saying why. */
struct port *vport_phy_open(uint16_t number, const char *interface);
struct port *vport_ring_open(uint16_t number);

#endif
