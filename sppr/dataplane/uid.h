/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef UID_H
#define UID_H

#include <stdint.h>

/* A port's name on the wire is `type:number`, SPP's "resource uid". */

enum port_type {
	PORT_PHY,
	PORT_RING,
	PORT_VHOST,
	PORT_TAP,
	PORT_NULL,
	PORT_PCAP,
	PORT_MEMIF,
	PORT_IVSHMEM,
};

#define UID_MAX_NUMBER 9999
#define UID_STRLEN 16

struct uid {
	enum port_type type;
	uint16_t number;
};

int uid_parse(const char *text, struct uid *uid);
void uid_format(struct uid uid, char text[UID_STRLEN]);
int uid_equal(struct uid a, struct uid b);

/* What SPP calls an ethdev of this name; -1 for anything without a name of its own: a phy. */
int uid_from_ethdev_name(const char *name, struct uid *uid);

#endif
