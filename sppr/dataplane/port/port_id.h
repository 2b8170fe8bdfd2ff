/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef UID_H
#define UID_H

#include <stdint.h>

/* A port's name on the wire is `type:number`, SPP's "resource uid"; one queue of a port that has
 * several is `phy:0nq3`, which a status spells `phy:0 nq 3`.
 */

enum port_type {
	PORT_PHY,
	PORT_RING,
	PORT_VHOST,
	PORT_TAP,
	PORT_NULL,
	PORT_PCAP,
	PORT_MEMIF,
	PORT_IVSHMEM,
	PORT_PROBE,
};

#define UID_MAX_NUMBER 9999
#define UID_MAX_QUEUE 1023
#define UID_STRLEN 24

struct uid {
	enum port_type type;
	uint16_t number;
	uint16_t nq; /* the queue's number + 1; 0: the port has one queue only */
};

int uid_parse(const char *text, struct uid *uid);
void uid_format(struct uid uid, char text[UID_STRLEN]);
void uid_format_status(struct uid uid, char text[UID_STRLEN]);
int uid_equal(struct uid a, struct uid b);

/* What SPP calls an ethdev of this name; -1 for anything without a name of its own: a phy. */
int uid_from_ethdev_name(const char *name, struct uid *uid);

#endif
