/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef VPORT_H
#define VPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "../uid.h"

/* Ports of a guest: phy, a NIC of the kernel's by AF_PACKET, and ring, an ivshmem device. */

#define VPORT_MAX 64
#define VPORT_BURST 32
#define FRAME_HEADROOM 4 /* the VLAN tag the kernel took out */
#define FRAME_ROOM 2044	 /* what a slot of a region holds */

struct frame {
	uint8_t *data;
	uint32_t len;
	uint8_t room[FRAME_HEADROOM + FRAME_ROOM];
};

struct vport;

struct vport_ops {
	unsigned int (*rx)(struct vport *port, struct frame *frames, unsigned int n);
	/* How many of the first frames went out; the others are lost. */
	unsigned int (*tx)(struct vport *port, const struct frame *frames, unsigned int n);
	/* Before the first rx, and after the last: nothing older than that is received. */
	int (*listen)(struct vport *port, bool on);
	void (*close)(struct vport *port);
};

struct vport {
	const struct vport_ops *ops;
	struct uid uid;
	struct vport *patched_to;
	int wait_fd; /* readable when there are frames; -1: has to be polled */
	bool ready;  /* worth a rx */
	bool listening;
	bool fixed;
	uint64_t rx, rx_drop, tx, tx_drop;
};

struct vport_table {
	struct vport *port[VPORT_MAX];
	unsigned int n;
};

/* NULL after saying why. */
struct vport *vport_phy_open(uint16_t number, const char *interface);
struct vport *vport_ring_open(uint16_t number);

struct vport *vport_find(const struct vport_table *table, struct uid uid);
int vport_insert(struct vport_table *table, struct vport *port);
void vport_remove(struct vport_table *table, struct vport *port);

#endif
