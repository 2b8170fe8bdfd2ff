/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef PORT_PORT_ID_H
#define PORT_PORT_ID_H

#include <stdint.h>

/* A port's name on the wire is `type:number`, SPP's "resource uid"; one queue of a port that has
 * several is `phy:0nq3`, which a status spells `phy:0 nq 3`.
 */

enum port_type_id {
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

#define PORT_ID_MAX_NUMBER 9999
#define PORT_ID_MAX_QUEUE 1023
#define PORT_ID_STRLEN 24

struct port_id {
	enum port_type_id type;
	uint16_t number;
	uint16_t nq; /* the queue's number + 1; 0: the port has one queue only */
};

int port_id_parse(const char *text, struct port_id *id);
void port_id_format(struct port_id id, char text[PORT_ID_STRLEN]);
void port_id_format_status(struct port_id id, char text[PORT_ID_STRLEN]);
int port_id_equal(struct port_id a, struct port_id b);

/* What SPP calls an ethdev of this name; -1 for anything without a name of its own: a phy. */
int port_id_from_ethdev_name(const char *name, struct port_id *id);

#endif
